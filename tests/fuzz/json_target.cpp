// Compares the JSON parser with nlohmann-json, and checks that each encoding reverses its decoding.
#include <algorithm>
#include <set>

#include "gateway/text/json.h"
#include "gateway/text/text.h"
#include "tests/fuzz/reference_json.h"
#include "tests/fuzz/target.h"

namespace tailgate::testing {

namespace {

using Kind = JsonValue::Kind;

bool is_same_kind(Kind kind, const nlohmann::json& reference) {
  switch (kind) {
    case Kind::kNull:
      return reference.is_null();
    case Kind::kBoolean:
      return reference.is_boolean();
    case Kind::kNumber:
      return reference.is_number();
    case Kind::kString:
      return reference.is_string();
    case Kind::kArray:
      return reference.is_array();
    case Kind::kObject:
      return reference.is_object();
  }
  return false;
}

void compare_value(const JsonValue& value, const nlohmann::json& reference) {
  must(is_same_kind(value.kind, reference), "nlohmann-json finds the same kind of value");
  must(reference_json(value.raw) == reference, "the slice of a value parses to the value");
  must(trim(value.raw) == value.raw, "a slice has no white space around it");
  if (value.is_string())
    must(value.text() == reference.get<std::string>(), "a string has the text that nlohmann-json reads");
}

void compare_members(const Members& members, const nlohmann::json& reference) {
  std::set<std::string> names;
  for (const auto& member : members.all()) names.insert(member.name());
  must(names.size() == reference.size(), "an object has the members that nlohmann-json finds");
  must(members.has_duplicates() == (members.all().size() != names.size()), "duplicate names are detected");
  for (const auto& [name, value] : reference.items()) {
    const JsonValue* found = members.find(name);
    must(found != nullptr, "find() finds every member");
    compare_value(*found, value);
  }
}

void compare_quoting(std::string_view bytes) {
  const std::string quoted = json_quote(bytes);
  const std::string repaired = to_utf8(bytes);
  must(!has_control(quoted), "a quoted text has no control byte");
  const auto reference = reference_json(quoted);
  must(reference.has_value() && reference->get<std::string>() == repaired,
       "nlohmann-json reads a quoted text as the original");
  must(json_unquote(quoted) == repaired, "json_unquote() reverses json_quote()");
}

bool is_base64url(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
  });
}

// Encodes every byte.  percent_decode() must reverse it.
std::string percent_encode(std::string_view bytes, bool lower) {
  std::string out;
  for (const char c : bytes) {
    const std::string_view digits = lower ? "0123456789abcdef" : "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

}  // namespace

void fuzz_json(std::string_view input) {
  compare_quoting(input);
  const auto value = parse_json(input);
  Members members;
  const bool is_object = members.read(input);
  must(is_json(input) == value.has_value(), "is_json() and parse_json() agree");
  must(is_object == (value && value->kind == Kind::kObject), "Members::read() accepts exactly the objects");
  if (only_we_refuse(input)) {
    must(!value, "a NUL and a byte order mark are refused");
    return;
  }
  const std::string plain = without_differences(input);
  auto reference = reference_json(plain);
  must(value.has_value() == reference.has_value(), "nlohmann-json accepts the same texts");
  if (!value || plain != input) return;

  compare_value(*value, *reference);
  if (is_object) compare_members(members, *reference);
  if (value->kind == Kind::kArray) {
    const auto elements = json_elements(value->raw);
    must(elements.size() == reference->size(), "an array has the elements that nlohmann-json finds");
    for (std::size_t i = 0; i < elements.size(); ++i) compare_value(elements[i], (*reference)[i]);
  }
}

void fuzz_text(std::string_view input) {
  // nlohmann-json refuses to write ill-formed UTF-8, or replaces it on request.
  const nlohmann::json as_string = std::string(input);
  const auto repaired =
      reference_json(as_string.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  bool well_formed = true;
  try {
    (void)as_string.dump();
  } catch (const nlohmann::json::type_error&) {
    well_formed = false;
  }
  must(is_utf8(input) == well_formed, "nlohmann-json accepts the same UTF-8");
  must(repaired.has_value() && to_utf8(input) == repaired->get<std::string>(),
       "nlohmann-json replaces the same bytes");

  const std::string encoded = base64url_encode(input);
  must(is_base64url(encoded) && base64url_decode(encoded) == input,
       "base64url_decode() reverses base64url_encode()");
  const auto decoded = base64url_decode(input);
  if (decoded) must(base64url_encode(*decoded) == input, "bytes have exactly one encoding in base64url");
  if (!is_base64url(input) || input.size() % 4 == 1)
    must(!decoded, "text with other characters or of an impossible length is refused");

  for (const bool lower : {true, false}) {
    must(percent_decode(percent_encode(input, lower)) == input, "percent_decode() reverses the encoding");
  }
  const auto plain = percent_decode(input);
  if (input.find('%') == std::string_view::npos) must(plain == input, "text without \"%\" does not change");
  if (plain) {
    const auto percents = static_cast<std::size_t>(std::count(input.begin(), input.end(), '%'));
    must(plain->size() + 2 * percents == input.size(), "each \"%\" and its two digits become one byte");
  }

  std::string joined;
  for (const std::string_view part : split(input, ',')) {
    must(part.find(',') == std::string_view::npos, "a part holds no separator");
    if (part.data() != input.data()) joined += ',';
    joined += part;
  }
  must(joined == input, "the parts and separators make up the input");
  must(!trim(input).starts_with(' ') && !trim(input).ends_with('\n'),
       "trimmed text has no white space around it");
}

}  // namespace tailgate::testing
