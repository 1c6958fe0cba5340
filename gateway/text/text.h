// Text: decoding and checking the texts of request lines, headers and tokens.
//
// Pure.  Knows no HTTP message and no JSON.  Decoding a malformed text gives nothing, unless a comment says
// otherwise.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tailgate {

// "%41" becomes "A".  Nothing if a "%" is not followed by two hexadecimal digits.
std::optional<std::string> percent_decode(std::string_view text);
// Encodes all bytes but the "unreserved" ones (RFC 3986 section 2.3), so that the result may stand in a URL's
// path or query.
std::string percent_encode(std::string_view text);

// The parameters of a query, decoded, in their order.
class Query {
 public:
  // `text` is the part of a URL after the "?".  A "+" is a space.  A name without "=" has an empty value.
  // Empty parts are skipped.  Returns nothing if any name or value is malformed, so that a malformed token
  // does not count as absent.
  static std::optional<Query> parse(std::string_view text);

  // The first value of `name`, or null.
  const std::string* find(std::string_view name) const;
  // The first value of `name` that is not empty, or null.  Some libraries add their parameter to a URL that
  // already has an empty one.
  const std::string* find_non_empty(std::string_view name) const;
  // True if `name` occurs more than once.
  bool repeats(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& all() const { return pairs_; }

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

// The value of the first cookie called `name` in a Cookie header (RFC 6265 section 5.4), without quotes and
// percent-decoded.  A value that cannot be decoded is returned undecoded, as applications do.
std::optional<std::string> cookie_value(std::string_view header, std::string_view name);

// RFC 4648 section 5, without padding.  Decoding refuses padding, characters outside the alphabet, lengths
// that no encoder produces, and non-zero bits after the last byte.  So a value has only one spelling.
std::string base64url_encode(std::string_view bytes);
std::optional<std::string> base64url_decode(std::string_view text);
// RFC 4648 section 4 or 5: either alphabet, with or without padding.
std::optional<std::string> base64_decode(std::string_view text);

bool is_utf8(std::string_view text);
// Replaces each ill-formed part of `bytes` by U+FFFD, as the WHATWG Encoding Standard prescribes.  ASCII
// bytes never change, so a JSON text keeps its structure.
std::string to_utf8(std::string_view bytes);
// The beginning of `text`: at most `max_bytes` long, and not cut inside a character.
std::string_view utf8_prefix(std::string_view text, std::size_t max_bytes);

// True for an ASCII letter or digit.
bool is_alphanumeric(char c);
// True if `text` is not empty and holds only ASCII letters, digits and characters of `punctuation`.
bool consists_of(std::string_view text, std::string_view punctuation);
// True if `text` is a "token" (RFC 9110 section 5.6.2).  Methods and the names of headers and cookies are
// tokens.
bool is_token(std::string_view text);
// True if `text` is not empty and holds only printable ASCII characters and no space.
bool is_visible_ascii(std::string_view text);
// True if a byte is below 0x20 or is 0x7F.
bool has_control(std::string_view text);

// Reads all of `text` as a number.  Nothing if `text` holds anything else, such as a "+" or a space, or if
// the number is outside `T`'s range.
template <typename T>
std::optional<T> parse_number(std::string_view text, int base = 10) {
  T number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, base);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// "2026-11-21T10:10:10.123456+00:00".
std::string iso_time(std::chrono::system_clock::time_point time);

template <typename Texts>
bool contains(const Texts& texts, std::string_view text) {
  return std::find(std::begin(texts), std::end(texts), text) != std::end(texts);
}
std::string ascii_lower(std::string_view text);
// Strips spaces, tabs, CR and LF at both ends.
std::string_view trim(std::string_view text);
// The parts between the separators; one empty part for an empty text.
std::vector<std::string_view> split(std::string_view text, char separator);
// Joins `texts` with `separator` between them.  A non-empty `last` replaces the last separator.
template <typename Texts>
std::string join(const Texts& texts, std::string_view separator, std::string_view last = {}) {
  std::string out;
  std::size_t left = texts.size();
  for (const std::string_view text : texts) {
    if (left < texts.size()) out += left == 1 && !last.empty() ? last : separator;
    out += text;
    --left;
  }
  return out;
}

}  // namespace tailgate
