#include "gateway/pure/config_toml.h"

// toml++ 3.3 asserts what malformed input breaks ("[.a]", "a = [}"), and would abort; the code behind the
// assertions reports it well.  With NDEBUG they would be promises to the compiler instead.
#undef NDEBUG
#define TOML_ASSERT(condition) static_assert(true)
#define TOML_EXCEPTIONS 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>

namespace tailgate {

namespace {

bool is_list_of(const toml::array& array, toml::node_type type) {
  return std::all_of(array.begin(), array.end(),
                     [type](const toml::node& element) { return element.type() == type; });
}

bool is_bare(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-';
}

// A name as a component of a flat key.  A "?" stands for what no key of ours has, as in "a.b".
std::string component(std::string_view name) {
  std::string text(name);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return !is_bare(c); }, '?');
  return text;
}

Setting::Value value_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return integer->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* boolean = node.as_boolean()) return boolean->get();
  if (const auto* array = node.as_array(); array != nullptr && is_list_of(*array, toml::node_type::string)) {
    std::vector<std::string> texts;
    for (const toml::node& element : *array) texts.push_back(element.as_string()->get());
    return texts;
  }
  return Setting::Other{.name = node.is_array() ? "a list of something else" : "a date or time"};
}

// Recurses as deep as the text nests, which the library bounds to 256.
void flatten(const toml::node& node, const std::string& key, FlatToml& out) {
  Setting setting;
  setting.line = static_cast<int>(node.source().begin.line);
  const auto* array = node.as_array();
  if (const auto* table = node.as_table()) {
    if (!key.empty()) {
      setting.value = Setting::Table{};
      out.emplace_back(key, std::move(setting));
    }
    for (const auto& [name, child] : *table) {
      flatten(child, (key.empty() ? key : key + '.') + component(name.str()), out);
    }
  } else if (array != nullptr && !array->empty() && is_list_of(*array, toml::node_type::table)) {
    setting.value = Setting::TableList{.size = array->size()};
    out.emplace_back(key, std::move(setting));
    for (std::size_t i = 0; i < array->size(); ++i) {
      flatten(*array->get(i), key + '[' + std::to_string(i) + ']', out);
    }
  } else {
    setting.value = value_of(node);
    out.emplace_back(key, std::move(setting));
  }
}

}  // namespace

std::variant<FlatToml, TomlError> flatten_toml(std::string_view text) {
  try {
    FlatToml flat;
    flatten(toml::parse(text), {}, flat);
    return flat;
  } catch (const toml::parse_error& error) {
    return TomlError{.line = static_cast<int>(error.source().begin.line),
                     .what = std::string(error.description())};
  }
}

std::optional<FlatToml> flatten_toml_value(std::string_view key, std::string_view value) {
  try {
    const toml::table parsed = toml::parse("value = " + std::string(value));
    if (parsed.size() != 1) return std::nullopt;
    FlatToml flat;
    flatten(*parsed.get("value"), std::string(key), flat);
    for (auto& entry : flat) entry.second.line = 0;
    return flat;
  } catch (const toml::parse_error&) {
    return std::nullopt;
  }
}

}  // namespace tailgate
