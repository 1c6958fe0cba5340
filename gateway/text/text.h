// Text: what bytes from a request line, a header or a token mean, strictly.
//
// Pure.  Functions over texts; knows no HTTP message and no JSON.  Where a text is malformed
// the answer is nothing, never a guess.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tailgate {

enum class Plus { kLiteral, kSpace };

// "%41" becomes "A".  Nothing if a "%" is not followed by two hexadecimal digits.
std::optional<std::string> percent_decode(std::string_view text, Plus plus = Plus::kLiteral);

// The parameters of a query, decoded, in their order.
class Query {
 public:
  // `text` is what follows the "?".  A bare "k" is k with an empty value; an empty part is skipped.
  // Nothing if any name or value is malformed: a broken token must not pass for an absent one.
  static std::optional<Query> parse(std::string_view text);

  // The first value of `name`, or null.
  const std::string* find(std::string_view name) const;
  // Is there more than one?
  bool repeats(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& all() const { return pairs_; }

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

// The first cookie called `name` in a Cookie header (RFC 6265 section 5.4), without quotes and
// percent-decoded; as it stands where the percent signs are not an encoding, as applications read it.
std::optional<std::string> cookie_value(std::string_view header, std::string_view name);

// RFC 4648 section 5, without padding.  Decoding refuses padding, any other character, a length that
// no encoder makes, and set bits beyond the last byte: one value has one spelling.
std::string base64url_encode(std::string_view bytes);
std::optional<std::string> base64url_decode(std::string_view text);

bool is_utf8(std::string_view text);
// `bytes` with each maximal ill-formed part replaced by U+FFFD, as the WHATWG Encoding Standard has
// browsers do it.  Never touches an ASCII byte, so the structure of a JSON text stays as it was.
std::string to_utf8(std::string_view bytes);

// Is there a byte below 0x20, or 0x7F?
bool has_control(std::string_view text);

// "2026-11-21T10:10:10.123456+00:00".
std::string iso_time(std::chrono::system_clock::time_point time);

std::string ascii_lower(std::string_view text);
// Without spaces, tabs, CR and LF at both ends.
std::string_view trim(std::string_view text);
// The parts between the separators; one empty part for an empty text.
std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace tailgate
