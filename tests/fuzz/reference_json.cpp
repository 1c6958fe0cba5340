#include "tests/fuzz/reference_json.h"

#include <algorithm>
#include <cctype>
#include <cstddef>

#include "gateway/text/text.h"

namespace tailgate::testing {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// "\uD800" to "\uDFFF".
bool is_surrogate_escape(std::string_view text) {
  return text.size() >= 6 && text.starts_with("\\u") && (text[2] == 'd' || text[2] == 'D') &&
         std::string_view("89abcdefABCDEF").find(text[3]) != std::string_view::npos &&
         std::isxdigit(static_cast<unsigned char>(text[4])) != 0 &&
         std::isxdigit(static_cast<unsigned char>(text[5])) != 0;
}

}  // namespace

std::string without_differences(std::string_view text) {
  const std::string mended = to_utf8(text);
  std::string out;
  bool in_string = false;
  for (std::size_t i = 0; i < mended.size(); ++i) {
    const char c = mended[i];
    if (c == '"') in_string = !in_string;
    if (in_string && c == '\\') {
      if (is_surrogate_escape(std::string_view(mended).substr(i))) {
        out += "\\u0041";
        i += 5;
      } else {
        out += c;
        if (i + 1 < mended.size()) out += mended[++i];
      }
    } else if (!in_string && is_digit(c)) {
      const char before = i == 0 ? ' ' : mended[i - 1];
      const char one_more = i < 2 ? ' ' : mended[i - 2];
      const bool is_exponent = before == 'e' || before == 'E' ||
                               ((before == '+' || before == '-') && (one_more == 'e' || one_more == 'E'));
      std::size_t end = i;
      while (end < mended.size() && is_digit(mended[end])) ++end;
      out += is_exponent ? "0" : mended.substr(i, std::min<std::size_t>(end - i, 15));
      i = end - 1;
    } else {
      out += c;
    }
  }
  return out;
}

bool only_we_refuse(std::string_view text) {
  return text.starts_with('\xEF') || text.find('\0') != std::string_view::npos;
}

std::optional<nlohmann::json> reference_json(std::string_view text) {
  if (only_we_refuse(text)) return std::nullopt;
  auto value = nlohmann::json::parse(text, nullptr, false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

}  // namespace tailgate::testing
