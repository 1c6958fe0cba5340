#include "gateway/text/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "gateway/text/hex.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

using Kind = JsonValue::Kind;
using Member = Members::Member;

// kEscaped[i] is escaped as a backslash and kLetters[i].  json_quote() uses only the first kQuoted escapes.
constexpr std::string_view kEscaped = "\"\\\n\r\t\b\f/";
constexpr std::string_view kLetters = "\"\\nrtbf/";
constexpr std::size_t kQuoted = 5;

// The length of the longest prefix of `text` without a quote, a backslash or a control character (0x7F
// included).
std::size_t unescaped_prefix(std::string_view text) {
  // Checks eight bytes at once (Anderson, Bit Twiddling Hacks, "Determine if a word has a byte less than n").
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  const auto has_less = [](std::uint64_t eight, unsigned char least) {
    return ((eight - kOnes * least) & ~eight & kOnes * 0x80) != 0;
  };
  const auto has = [&](std::uint64_t eight, unsigned char byte) { return has_less(eight ^ kOnes * byte, 1); };
  std::size_t i = 0;
  for (std::uint64_t eight = 0; i + sizeof eight <= text.size(); i += sizeof eight) {
    std::memcpy(&eight, text.data() + i, sizeof eight);
    if (has_less(eight, 0x20) || has(eight, '"') || has(eight, '\\') || has(eight, 0x7F)) break;
  }
  const auto is_plain = [](unsigned char byte) {
    return byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7F;
  };
  while (i < text.size() && is_plain(static_cast<unsigned char>(text[i]))) ++i;
  return i;
}

// Reads a text once.  Each take_x() moves past one x, or returns false if no x comes next.
class Scanner {
 public:
  // scan() appends the outermost value's members or elements to `parts` unless `parts` is null.
  Scanner(std::string_view text, std::vector<Member>* parts)
      : next_(text.data()), end_(text.data() + text.size()), parts_(parts) {}

  // Nothing unless the whole text is one value.
  std::optional<JsonValue> scan();

 private:
  bool at_end() const { return next_ == end_; }
  bool take(char c) {
    if (at_end() || *next_ != c) return false;
    ++next_;
    return true;
  }
  void skip_space() {
    while (!at_end() && (*next_ == ' ' || *next_ == '\n' || *next_ == '\r' || *next_ == '\t')) ++next_;
  }
  bool take_digits() {
    const char* begin = next_;
    while (!at_end() && *next_ >= '0' && *next_ <= '9') ++next_;
    return next_ != begin;
  }
  bool take_word(std::string_view word) {
    if (!rest().starts_with(word)) return false;
    next_ += word.size();
    return true;
  }
  std::string_view since(const char* begin) const { return {begin, static_cast<std::size_t>(next_ - begin)}; }
  std::string_view rest() const { return {next_, static_cast<std::size_t>(end_ - next_)}; }

  bool take_number();
  bool take_string();
  bool take_escape();
  bool take_name();
  std::optional<Kind> take_value();
  JsonValue* value_to_fill();

  const char* next_;
  const char* end_;
  std::vector<Member>* parts_;
  JsonValue outermost_;
  std::string open_;  // the brackets that are open, '{' or '[', outermost first
};

bool Scanner::take_number() {
  take('-');
  if (!take('0') && !take_digits()) return false;
  if (take('.') && !take_digits()) return false;
  if (take('e') || take('E')) {
    if (!take('+')) take('-');
    return take_digits();
  }
  return true;
}

bool Scanner::take_escape() {
  if (at_end()) return false;
  const char c = *next_++;
  if (c != 'u') return kLetters.find(c) != std::string_view::npos;
  for (int i = 0; i < 4; ++i, ++next_) {
    if (at_end() || hex_value(*next_) < 0) return false;
  }
  return true;
}

bool Scanner::take_string() {
  if (!take('"')) return false;
  while (true) {
    next_ += unescaped_prefix(rest());
    if (at_end()) return false;
    const char c = *next_++;
    if (c == '"') return true;
    if (c < 0x20 || (c == '\\' && !take_escape())) return false;
  }
}

// Takes a scalar, or the bracket that opens an object or an array.
std::optional<Kind> Scanner::take_value() {
  if (take('{')) return Kind::kObject;
  if (take('[')) return Kind::kArray;
  if (rest().starts_with('"')) return take_string() ? std::optional(Kind::kString) : std::nullopt;
  if (take_word("true") || take_word("false")) return Kind::kBoolean;
  if (take_word("null")) return Kind::kNull;
  return take_number() ? std::optional(Kind::kNumber) : std::nullopt;
}

// Takes a member's name, the colon, and the white space around the colon.
bool Scanner::take_name() {
  const char* begin = next_;
  if (!take_string()) return false;
  if (open_.size() == 1 && parts_ != nullptr) {
    const std::string_view name = since(begin);
    const bool is_plain = name.find('\\') == std::string_view::npos && is_utf8(name);
    parts_->push_back({.raw_name = name, .value = {}, .plain = is_plain});
  }
  skip_space();
  if (!take(':')) return false;
  skip_space();
  return true;
}

// The place for the current value: the outermost value, or one of its parts.  Null if the value is only
// validated.
JsonValue* Scanner::value_to_fill() {
  if (open_.empty()) return &outermost_;
  return open_.size() == 1 && parts_ != nullptr ? &parts_->back().value : nullptr;
}

std::optional<JsonValue> Scanner::scan() {
  skip_space();
  while (true) {
    if (open_ == "[" && parts_ != nullptr) parts_->emplace_back();
    const char* begin = next_;
    const auto kind = take_value();
    if (!kind) return std::nullopt;
    if (JsonValue* value = value_to_fill()) *value = {.kind = *kind, .raw = since(begin)};
    if (kind == Kind::kObject || kind == Kind::kArray) {
      open_ += kind == Kind::kObject ? '{' : '[';
      skip_space();
      if (!rest().starts_with(kind == Kind::kObject ? '}' : ']')) {
        if (kind == Kind::kObject && !take_name()) return std::nullopt;
        continue;
      }
    }
    // A value is followed by a comma and the next value, or by the bracket that closes the enclosing value.
    while (true) {
      skip_space();
      if (open_.empty()) return at_end() ? std::optional(outermost_) : std::nullopt;
      if (take(',')) {
        skip_space();
        if (open_.back() == '{' && !take_name()) return std::nullopt;
        break;
      }
      if (!take(open_.back() == '{' ? '}' : ']')) return std::nullopt;
      open_.pop_back();
      if (JsonValue* value = value_to_fill()) value->raw = since(value->raw.data());
    }
  }
}

void append_utf8(std::string& out, std::uint32_t code) {
  const unsigned continuations = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  constexpr std::array<std::uint32_t, 4> kFirst = {0, 0xC0, 0xE0, 0xF0};
  out += static_cast<char>(kFirst.at(continuations) | code >> (6 * continuations));
  for (unsigned left = continuations; left-- > 0;)
    out += static_cast<char>(0x80 | (code >> (6 * left) & 0x3F));
}

// The number in the first four characters, which must be hexadecimal digits.
std::uint32_t four_hex(std::string_view text) {
  std::uint32_t code = 0;
  (void)std::from_chars(text.data(), text.data() + 4, code, 16);
  return code;
}

// Takes the digits of a \u escape from `text`.  After a high surrogate, takes the escape of the low surrogate
// too.  A lone surrogate gives U+FFFD.
std::uint32_t take_code(std::string_view& text) {
  const std::uint32_t code = four_hex(text);
  text.remove_prefix(4);
  if (code < 0xD800 || code > 0xDFFF) return code;
  const std::uint32_t low = text.starts_with("\\u") ? four_hex(text.substr(2)) : 0;
  if (code > 0xDBFF || low < 0xDC00 || low > 0xDFFF) return 0xFFFD;
  text.remove_prefix(6);
  return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
}

}  // namespace

std::string json_quote(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  append_json_quoted(out, text);
  return out;
}

void append_json_quoted(std::string& out, std::string_view text) {
  std::string mended;
  if (!is_utf8(text)) {
    mended = to_utf8(text);
    text = mended;
  }
  out += '"';
  while (true) {
    const std::size_t run = unescaped_prefix(text);
    out.append(text, 0, run);
    if (run == text.size()) break;
    const char c = text[run];
    text.remove_prefix(run + 1);
    const std::size_t known = kEscaped.substr(0, kQuoted).find(c);
    if (known != std::string_view::npos) {
      out += {'\\', kLetters[known]};
    } else {
      out += "\\u00" + hex_encode({&c, 1});
    }
  }
  out += '"';
}

std::string json_object(const std::vector<JsonMember>& members) {
  std::size_t size = 2;
  for (const JsonMember& member : members) size += member.name.size() + member.json.size() + 4;
  std::string out = "{";
  out.reserve(size);
  for (const JsonMember& member : members) {
    if (out.size() > 1) out += ',';
    append_json_quoted(out, member.name);
    out += ':';
    out += member.json;
  }
  out += '}';
  return out;
}

std::string json_unquote(std::string_view json) {
  std::string_view rest = json.substr(1, json.size() - 2);
  std::string out;
  out.reserve(rest.size());
  while (true) {
    const std::size_t backslash = rest.find('\\');
    out += rest.substr(0, backslash);
    if (backslash == std::string_view::npos) break;
    const char escape = rest[backslash + 1];
    rest.remove_prefix(backslash + 2);
    if (escape == 'u') {
      append_utf8(out, take_code(rest));
    } else {
      out += kEscaped[kLetters.find(escape)];
    }
  }
  return is_utf8(out) ? out : to_utf8(out);
}

bool is_json(std::string_view text) {
  return parse_json(text).has_value();
}

bool is_finite_number(std::string_view number) {
  // Uses strtod(), because from_chars() reports "out of range" for tiny numbers as well as for huge ones.
  return std::isfinite(std::strtod(std::string(number).c_str(), nullptr));
}

std::optional<JsonValue> parse_json(std::string_view text) {
  return Scanner(text, nullptr).scan();
}

std::vector<JsonValue> json_elements(std::string_view array) {
  std::vector<Member> parts;
  (void)Scanner(array, &parts).scan();
  std::vector<JsonValue> elements;
  elements.reserve(parts.size());
  for (const Member& part : parts) elements.push_back(part.value);
  return elements;
}

std::string JsonValue::text() const {
  return is_string() ? json_unquote(raw) : std::string(raw);
}

bool Members::read(std::string_view text) {
  members_.clear();
  if (trim(text).starts_with('{') && Scanner(text, &members_).scan()) return true;
  members_.clear();
  return false;
}

std::string Members::Member::name() const {
  return json_unquote(raw_name);
}

bool Members::has_duplicates() const {
  std::vector<std::string> names;
  names.reserve(members_.size());
  for (const Member& member : members_) names.push_back(member.name());
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) != names.end();
}

const JsonValue* Members::find(std::string_view name) const {
  for (auto member = members_.rbegin(); member != members_.rend(); ++member) {
    const std::string_view raw = member->raw_name.substr(1, member->raw_name.size() - 2);
    if (member->plain ? raw == name : member->name() == name) return &member->value;
  }
  return nullptr;
}

std::optional<std::string> Members::text_of(std::string_view name) const {
  const JsonValue* value = find(name);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return value->text();
}

}  // namespace tailgate
