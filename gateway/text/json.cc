#include "gateway/text/json.h"

#include <algorithm>
#include <array>
#include <bitset>
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

constexpr std::size_t kMaxDepth = 256;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The role of a byte inside a string.
enum StringByte : std::uint8_t { kPlain, kBeyondAscii, kQuote, kEscape, kControl };

constexpr std::array<std::uint8_t, 256> string_bytes() {
  std::array<std::uint8_t, 256> bytes{};
  for (std::size_t i = 0; i < 0x20; ++i) bytes[i] = kControl;
  for (std::size_t i = 0x80; i < 0x100; ++i) bytes[i] = kBeyondAscii;
  bytes[static_cast<unsigned char>('"')] = kQuote;
  bytes[static_cast<unsigned char>('\\')] = kEscape;
  return bytes;
}

constexpr auto kStringBytes = string_bytes();

// Walks once over a text.  Each take_x() moves past an x, or returns false if the text has none there.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : next_(text.data()), end_(text.data() + text.size()) {}

  // True if the whole text is one value.  If it is an object, its members are appended to `members`, unless
  // that is null.
  bool scan(JsonValue& outermost, std::vector<Members::Member>* members);
  bool scan_number() { return take_number() && next_ == end_; }

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
    while (!at_end() && is_digit(*next_)) ++next_;
    return next_ != begin;
  }
  bool take_word(std::string_view word) {
    if (!std::string_view(next_, static_cast<std::size_t>(end_ - next_)).starts_with(word)) return false;
    next_ += word.size();
    return true;
  }
  std::string_view since(const char* begin) const { return {begin, static_cast<std::size_t>(next_ - begin)}; }

  bool take_number();
  bool take_string(bool& plain);
  bool take_escape();
  bool take_scalar(Kind& kind);
  bool take_name(std::vector<Members::Member>* members);
  JsonValue* value_to_fill(JsonValue& outermost, std::vector<Members::Member>* members) const;

  const char* next_;
  const char* end_;
  std::size_t depth_ = 0;
  std::bitset<kMaxDepth> in_object_;  // by depth: true for an object, false for an array
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
  if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
  for (int i = 0; i < 4; ++i, ++next_) {
    if (at_end() || hex_value(*next_) < 0) return false;
  }
  return true;
}

bool Scanner::take_string(bool& plain) {
  plain = true;
  if (!take('"')) return false;
  while (true) {
    while (!at_end() && kStringBytes[static_cast<unsigned char>(*next_)] == kPlain) ++next_;
    if (at_end()) return false;
    switch (kStringBytes[static_cast<unsigned char>(*next_++)]) {
      case kQuote:
        return true;
      case kControl:
        return false;
      case kEscape:
        if (!take_escape()) return false;
        [[fallthrough]];
      default:
        plain = false;
    }
  }
}

bool Scanner::take_scalar(Kind& kind) {
  bool plain = false;
  switch (at_end() ? '\0' : *next_) {
    case '"':
      kind = Kind::kString;
      return take_string(plain);
    case 't':
      kind = Kind::kBoolean;
      return take_word("true");
    case 'f':
      kind = Kind::kBoolean;
      return take_word("false");
    case 'n':
      kind = Kind::kNull;
      return take_word("null");
    default:
      kind = Kind::kNumber;
      return take_number();
  }
}

// A member's name, the colon, and the white space before and after the colon.
bool Scanner::take_name(std::vector<Members::Member>* members) {
  const char* begin = next_;
  bool plain = false;
  if (!take_string(plain)) return false;
  if (members != nullptr && depth_ == 1) {
    members->push_back({.raw_name = since(begin), .value = {}, .plain = plain});
  }
  skip_space();
  if (!take(':')) return false;
  skip_space();
  return true;
}

// The caller wants the outermost value and, if it is an object, its members.  Deeper values are only
// validated: null.
JsonValue* Scanner::value_to_fill(JsonValue& outermost, std::vector<Members::Member>* members) const {
  if (depth_ == 0) return &outermost;
  if (depth_ == 1 && members != nullptr && !members->empty()) return &members->back().value;
  return nullptr;
}

bool Scanner::scan(JsonValue& outermost, std::vector<Members::Member>* members) {
  skip_space();
  while (true) {
    const char* begin = next_;
    Kind kind = Kind::kNull;
    if (take('{')) {
      kind = Kind::kObject;
    } else if (take('[')) {
      kind = Kind::kArray;
    } else if (!take_scalar(kind)) {
      return false;
    }
    if (JsonValue* value = value_to_fill(outermost, members)) *value = {.kind = kind, .raw = since(begin)};
    if (kind == Kind::kObject || kind == Kind::kArray) {
      if (depth_ == kMaxDepth) return false;
      in_object_[depth_++] = kind == Kind::kObject;
      skip_space();
      const bool is_empty = !at_end() && *next_ == (kind == Kind::kObject ? '}' : ']');
      if (!is_empty) {
        if (kind == Kind::kObject && !take_name(members)) return false;
        continue;
      }
    }
    // Behind a value: a comma leads to the next one, brackets close the values around it.
    while (true) {
      if (depth_ == 0) {
        skip_space();
        return at_end();
      }
      skip_space();
      if (take(',')) {
        skip_space();
        if (in_object_[depth_ - 1] && !take_name(members)) return false;
        break;
      }
      if (!take(in_object_[depth_ - 1] ? '}' : ']')) return false;
      --depth_;
      if (JsonValue* value = value_to_fill(outermost, members)) value->raw = since(value->raw.data());
    }
  }
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

bool is_high_surrogate(std::uint32_t code) {
  return code >= 0xD800 && code < 0xDC00;
}
bool is_low_surrogate(std::uint32_t code) {
  return code >= 0xDC00 && code < 0xE000;
}

// The number of the four hexadecimal digits at the front.  Precondition: `text` begins with four.
std::uint32_t four_hex(std::string_view text) {
  std::uint32_t code = 0;
  for (const char c : text.substr(0, 4)) {
    code = code * 16 + static_cast<std::uint32_t>(hex_value(c));
  }
  return code;
}

// How many bytes at the front of `text` need no escape in a JSON string.
std::size_t unescaped_prefix(std::string_view text) {
  // Eight bytes at a time (Anderson, Bit Twiddling Hacks, "Determine if a word has a byte less than n").
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
    const auto byte = static_cast<unsigned char>(text[run]);
    text.remove_prefix(run + 1);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += static_cast<char>(byte);
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\r') {
      out += "\\r";
    } else if (byte == '\t') {
      out += "\\t";
    } else {
      out += "\\u00";
      out += hex_digit(byte >> 4);
      out += hex_digit(byte);
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
    switch (escape) {
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'u': {
        std::uint32_t code = four_hex(rest);
        rest.remove_prefix(4);
        if (is_high_surrogate(code) && rest.starts_with("\\u") &&
            is_low_surrogate(four_hex(rest.substr(2)))) {
          code = 0x10000 + ((code - 0xD800) << 10) + (four_hex(rest.substr(2)) - 0xDC00);
          rest.remove_prefix(6);
        } else if (is_high_surrogate(code) || is_low_surrogate(code)) {
          code = 0xFFFD;
        }
        append_utf8(out, code);
        break;
      }
      default:
        out += escape;
    }
  }
  return is_utf8(out) ? out : to_utf8(out);
}

bool is_json(std::string_view text) {
  return parse_json(text).has_value();
}

bool is_json_number(std::string_view text) {
  return Scanner(text).scan_number();
}

bool is_finite_number(std::string_view number) {
  // Not from_chars: it reports "out of range" for numbers next to zero as well as for those beyond a double.
  return std::isfinite(std::strtod(std::string(number).c_str(), nullptr));
}

std::optional<JsonValue> parse_json(std::string_view text) {
  JsonValue value;
  if (!Scanner(text).scan(value, nullptr)) return std::nullopt;
  return value;
}

std::vector<JsonValue> json_elements(std::string_view array) {
  std::vector<JsonValue> elements;
  std::string_view inside = array.substr(1, array.size() - 2);
  std::size_t depth = 0;
  bool in_string = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= inside.size(); ++i) {
    const char c = i < inside.size() ? inside[i] : ',';  // ends the last element too
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',' && depth == 0) {
      if (const auto element = parse_json(inside.substr(begin, i - begin))) elements.push_back(*element);
      begin = i + 1;
    }
  }
  return elements;
}

std::string JsonValue::text() const {
  return is_string() ? json_unquote(raw) : std::string(raw);
}

bool Members::read(std::string_view text) {
  members_.clear();
  JsonValue value;
  if (Scanner(text).scan(value, &members_) && value.kind == Kind::kObject) return true;
  members_.clear();
  return false;
}

std::string Members::Member::name() const {
  return plain ? std::string(raw_name.substr(1, raw_name.size() - 2)) : json_unquote(raw_name);
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

}  // namespace tailgate
