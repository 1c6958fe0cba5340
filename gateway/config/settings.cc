#include "gateway/config/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <optional>
#include <set>

#include "gateway/config/toml.h"
#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

using Type = Option::Type;

constexpr std::size_t kMostFindings = 100;

// True if `key` is below one of `parents`.
bool is_below_one(std::string_view key, const std::set<std::string, std::less<>>& parents) {
  for (std::size_t end = 0; (end = key.find_first_of(".[", end)) != std::string_view::npos; ++end) {
    if (parents.contains(key.substr(0, end))) return true;
  }
  return false;
}

bool is_below(std::string_view key, std::string_view parent) {
  return key.size() > parent.size() && key.starts_with(parent) &&
         (key[parent.size()] == '.' || key[parent.size()] == '[');
}

// The key one level up: "a" for "a.b" and for "a[0]".  Empty if there is none.
std::string_view parent_of(std::string_view key) {
  const std::size_t end = key.find_last_of(".[");
  return end == std::string_view::npos ? std::string_view() : key.substr(0, end);
}

// True if no message may show the value of `key`.
bool is_secret(std::string_view key) {
  return key == "redis.url" || key.ends_with(".secret");
}

struct NameOf {
  std::string operator()(const Setting::Table&) const { return "a table"; }
  std::string operator()(const Setting::TableList&) const { return "a list of tables"; }
  std::string operator()(const std::string&) const { return "a text"; }
  std::string operator()(std::int64_t) const { return "an integer"; }
  std::string operator()(double) const { return "a float"; }
  std::string operator()(bool) const { return "a boolean"; }
  std::string operator()(const std::vector<std::string>&) const { return "a list of texts"; }
  std::string operator()(const Setting::Other& other) const { return other.name; }
};

std::string printable(std::string_view text) {
  std::string out(text);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < ' ' || c == 0x7F; }, '?');
  return out;
}

std::optional<double> number_in(const Setting::Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  if (const auto* number = std::get_if<double>(&value)) return *number;
  return std::nullopt;
}

bool is_of_type(const Option& option, const Setting::Value& value) {
  switch (option.type) {
    case Type::kText:
    case Type::kProse:
    case Type::kChoice:
      return std::holds_alternative<std::string>(value);
    case Type::kTexts:
      return std::holds_alternative<std::vector<std::string>>(value);
    case Type::kTextOrTexts:
      return std::holds_alternative<std::string>(value) ||
             std::holds_alternative<std::vector<std::string>>(value);
    case Type::kBoolean:
      return std::holds_alternative<bool>(value);
    case Type::kInteger:
      return std::holds_alternative<std::int64_t>(value);
    case Type::kDuration:
      return number_in(value).has_value();
    case Type::kScalar:
      return std::holds_alternative<std::string>(value) || std::holds_alternative<bool>(value) ||
             number_in(value).has_value();
  }
  return false;
}

// The texts in `value` that must be one line and must not be empty.
std::vector<std::string> one_line_texts(const Option& option, const Setting::Value& value) {
  if (option.type == Type::kProse || option.type == Type::kScalar) return {};
  if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) return *texts;
  const auto* text = std::get_if<std::string>(&value);
  const bool may_be_empty = text != nullptr && text->empty() && option.fallback == R"("")";
  return text == nullptr || may_be_empty ? std::vector<std::string>() : std::vector{*text};
}

// The first text that a list holds twice, or "".
std::string repeated_text(const Setting::Value& value) {
  const auto* texts = std::get_if<std::vector<std::string>>(&value);
  if (texts == nullptr) return {};
  for (auto text = texts->begin(); text != texts->end(); ++text) {
    if (std::find(texts->begin(), text, *text) != text) return *text;
  }
  return {};
}

long long milliseconds_of(std::string_view key, double number) {
  return std::llround(key.ends_with("_ms") ? number : number * 1000);
}

// The rule that `value` breaks, or "".  Precondition: `value` has the option's type.
std::string broken_rule(const Option& option, const Setting::Value& value) {
  for (const std::string& text : one_line_texts(option, value)) {
    if (text.empty()) return "must not be empty";
    if (has_control(text)) return "must not hold control characters";
    if (!is_utf8(text)) return "must be UTF-8";
  }
  if (const std::string repeated = repeated_text(value); !repeated.empty()) {
    return "must not hold " + (is_secret(option.key) ? "a text" : '"' + repeated + '"') + " twice";
  }
  if (option.type == Type::kChoice) {
    if (!contains(split(option.choices, '|'), std::get<std::string>(value))) return option.rule();
  }
  if (option.type == Type::kInteger || option.type == Type::kDuration) {
    const double number = *number_in(value);
    if (!(number >= option.min && number <= option.max)) return option.rule();  // also refuses NaN
    if (option.type == Type::kDuration && number > 0 && milliseconds_of(option.key, number) == 0)
      return "is less than a millisecond, and would be taken as 0";
  }
  if (option.type == Type::kScalar && !std::isfinite(number_in(value).value_or(0))) return option.rule();
  return {};
}

}  // namespace

bool Settings::add_toml(std::string_view text) {
  auto flat = flatten_toml(text);
  if (const auto* error = std::get_if<TomlError>(&flat)) {
    findings_.emplace(error->line, file_name_ + ':' + std::to_string(error->line) + ": TOML: " + error->text);
    return false;
  }
  for (auto& [key, setting] : std::get<FlatToml>(flat)) settings_.insert_or_assign(key, std::move(setting));
  return true;
}

void Settings::clear_place(std::string_view key, const std::string& origin) {
  const Option* option = find_option(key);
  std::erase_if(settings_, [&](const auto& entry) {
    if (entry.first == key || is_below(entry.first, key)) return true;
    if (option == nullptr || option->group.empty() || parent_of(entry.first) != parent_of(key)) return false;
    const Option* other = find_option(entry.first);
    return other != nullptr && other->group == option->group;
  });
  for (std::string_view parent = parent_of(key); !parent.empty() && !has(parent);
       parent = parent_of(parent)) {
    Setting table{.value = Setting::Table{}, .line = 0, .origin = origin};
    if (key[parent.size()] == '[') table.value = Setting::TableList{.size = 1};
    settings_.emplace(parent, std::move(table));
  }
}

void Settings::replace(std::string_view key, std::string_view text) {
  const Option* option = find_option(key);
  const Setting bare{
      .value = std::string(text),
      .line = 0,
      .origin = printable("--set " + std::string(key) + '=') + (is_secret(key) ? "…" : printable(text))};
  clear_place(key, bare.origin);
  auto flat = flatten_toml_value(key, text);
  // A text option takes 404 or true as the text "404" or "true".
  const bool is_text = option != nullptr && is_of_type(*option, bare.value) &&
                       !(flat && is_of_type(*option, flat->front().second.value));
  if (!flat || is_text) flat = FlatToml{{std::string(key), bare}};
  for (auto& [name, setting] : *flat) {
    setting.origin = bare.origin;
    settings_.insert_or_assign(name, std::move(setting));
  }
}

void Settings::replace_from_environment(std::string_view key, Setting::Value value,
                                        std::string_view variable) {
  Setting setting{.value = std::move(value),
                  .line = 0,
                  .origin = "environment " + std::string(variable),
                  .is_from_environment = true};
  clear_place(key, setting.origin);
  settings_.insert_or_assign(std::string(key), std::move(setting));
}

void Settings::check() {
  std::set<std::string, std::less<>> refused;  // keys whose sub-keys are removed unchecked
  for (auto& [key, setting] : settings_) {
    if (is_below_one(key, refused)) continue;
    const std::string_view name_rule = broken_name_rule(key);
    const Shape shape = shape_of(key);
    const bool is_table = std::holds_alternative<Setting::Table>(setting.value);
    const bool is_list = std::holds_alternative<Setting::TableList>(setting.value);
    const auto* texts = std::get_if<std::vector<std::string>>(&setting.value);
    if (!name_rule.empty()) {
      add_error(key, std::string(name_rule));
      refused.insert(key);
    } else if (shape == Shape::kUnknown) {
      const std::string meant = suggestion_for(key);
      add_error(key, "is no key that is known" + (meant.empty() ? "" : "; did you mean " + meant + '?'));
      if (!meant.empty()) {
        const std::string_view parent = parent_of(key);
        keys_with_error_.insert(parent.empty() ? meant : std::string(parent) + '.' + meant);
      }
      refused.insert(key);
    } else if (shape == Shape::kTable && !is_table) {
      add_error(key, "must be a table, not " + std::visit(NameOf{}, setting.value));
      refused.insert(key);
    } else if (shape == Shape::kTableList && !is_list && !(texts != nullptr && texts->empty())) {
      add_error(key, "must be a list of tables, not " + std::visit(NameOf{}, setting.value));
      refused.insert(key);
    } else if (shape == Shape::kValue) {
      check_value(key, setting);
      if (is_table || is_list) refused.insert(key);
    }
  }
  std::erase_if(settings_, [&refused](const auto& entry) {
    const std::string& key = entry.first;
    return is_below_one(key, refused) || (refused.contains(key) && shape_of(key) != Shape::kValue);
  });
}

void Settings::check_value(const std::string& key, Setting& setting) {
  const Option& option = *find_option(key);
  const std::string rule = is_of_type(option, setting.value)
                               ? broken_rule(option, setting.value)
                               : option.rule() + ", not " + std::visit(NameOf{}, setting.value);
  if (rule.empty()) return;
  add_error(key, rule);
  setting.broken = true;
}

const Setting* Settings::find(std::string_view key) const {
  const auto found = settings_.find(key);
  return found != settings_.end() ? &found->second : nullptr;
}

bool Settings::is_from_environment(std::string_view key) const {
  const Setting* setting = find(key);
  return setting != nullptr && setting->is_from_environment;
}

std::vector<std::string> Settings::names_in(std::string_view table) const {
  std::multimap<int, std::string> by_line;
  for (const auto& [key, setting] : settings_) {
    if (key.find('[') != std::string::npos || parent_of(key) != table) continue;
    by_line.emplace(setting.line, key.substr(table.size() + 1));
  }
  std::vector<std::string> names;
  for (auto& [line, name] : by_line) names.push_back(std::move(name));
  return names;
}

std::vector<std::string> Settings::keys_below(std::string_view table) const {
  std::vector<std::string> keys;
  for (const auto& entry : settings_) {
    if (is_below(entry.first, table) && find_option(entry.first) != nullptr) keys.push_back(entry.first);
  }
  return keys;
}

Setting::Value Settings::value_of(std::string_view key) const {
  const Setting* setting = find(key);
  if (setting != nullptr && !setting->broken) return setting->value;
  const Option* option = find_option(key);
  if (option == nullptr || option->fallback.empty()) return Setting::Table{};
  return flatten_toml_value(key, option->fallback)->front().second.value;
}

std::vector<std::string> Settings::texts(std::string_view key) const {
  const Setting::Value value = value_of(key);
  if (const auto* text = std::get_if<std::string>(&value)) return {*text};
  const auto* texts = std::get_if<std::vector<std::string>>(&value);
  return texts != nullptr ? *texts : std::vector<std::string>();
}

std::chrono::milliseconds Settings::duration(std::string_view key) const {
  const double number = number_in(value_of(key)).value_or(0);
  return std::chrono::milliseconds(milliseconds_of(key, number));
}

std::string Settings::json(std::string_view key) const {
  const Setting::Value value = value_of(key);
  if (const auto* text = std::get_if<std::string>(&value)) return json_quote(*text);
  if (const auto* boolean = std::get_if<bool>(&value)) return *boolean ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&value)) {
    std::array<char, 32> shortest{};
    return {shortest.data(), std::to_chars(shortest.begin(), shortest.end(), *number).ptr};
  }
  return "null";
}

void Settings::add_error(std::string_view key, const std::string& rule) {
  keys_with_error_.emplace(key);
  const Setting* setting = find(key);
  if (setting != nullptr && setting->broken) return;
  for (std::string_view parent = key; setting == nullptr && !parent.empty();) {
    parent = parent_of(parent);
    setting = find(parent);
  }
  int line = setting != nullptr ? std::max(setting->line, 1) : 1;
  std::string place = file_name_ + ':' + std::to_string(line);
  if (setting != nullptr && !setting->origin.empty()) {
    line = std::numeric_limits<int>::max();
    place = setting->origin;
  }
  findings_.emplace(line, place + ": " + printable(key) + ": " + rule);
  if (findings_.size() <= kMostFindings) return;
  // More findings would not help.  A file that is not a configuration may have one for each line.
  findings_.erase(std::prev(findings_.end()));
  has_more_findings_ = true;
}

void Settings::add_missing(std::string_view key) {
  if (!has_error_below(key)) add_error(key, "is missing: " + std::string(find_option(key)->what));
}

bool Settings::require(std::string_view key) {
  if (has(key)) return true;
  add_missing(key);
  return false;
}

bool Settings::is_fragment(std::string_view key, std::initializer_list<std::string_view> needed) {
  const Setting* table = find(key);
  if (table == nullptr || table->origin.empty()) return false;
  const bool is_whole = std::ranges::all_of(needed, [&](std::string_view name) {
    const std::string full = std::string(key) + '.' + std::string(name);
    return has(full) || has_error_below(full);
  });
  if (is_whole) return false;
  add_error(key, "there is no [" + std::string(key) + "] in the file, and a new one needs " +
                     join(needed, ", ", " and "));
  return true;
}

bool Settings::has_error_below(std::string_view key) const {
  return std::ranges::any_of(
      keys_with_error_, [key](const std::string& about) { return about == key || is_below(about, key); });
}

std::string Settings::findings() const {
  std::string text;
  for (const auto& [line, finding] : findings_) text += finding + '\n';
  if (has_more_findings_) text += "There are more errors. Correct these first.\n";
  if (!text.empty()) text.pop_back();
  return text;
}

}  // namespace tailgate
