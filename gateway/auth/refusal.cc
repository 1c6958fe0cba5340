#include "gateway/auth/refusal.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace tailgate {

namespace {

struct Texts {
  std::string_view word;
  std::string_view sentence;
};

// In the order of the enumerators.
constexpr std::array<Texts, 12> kTexts = {{
    {"missing", "Authentication is required"},
    {"malformed", "The token is malformed"},
    {"algorithm", "The token is signed with an algorithm that is not accepted"},
    {"kid", "The token is signed with an unknown key"},
    {"signature", "The token's signature is wrong"},
    {"claims", "The token lacks a required claim, or one has the wrong type"},
    {"expired", "The token has expired"},
    {"early", "The token is not valid yet"},
    {"issuer", "The token comes from another issuer"},
    {"audience", "The token is meant for another audience"},
    {"party", "The token was issued to a party that is not accepted"},
    {"subject", "The token does not name a user"},
}};

}  // namespace

std::string_view word_of(Refusal refusal) {
  return kTexts.at(static_cast<std::size_t>(refusal)).word;
}

std::string_view sentence_of(Refusal refusal) {
  return kTexts.at(static_cast<std::size_t>(refusal)).sentence;
}

std::optional<Refusal> refusal_named(std::string_view word) {
  const auto* const found = std::ranges::find(kTexts, word, &Texts::word);
  if (found == kTexts.end()) return std::nullopt;
  return static_cast<Refusal>(found - kTexts.begin());
}

std::string challenge_for(Refusal refusal) {
  std::string header = R"(Bearer realm="tailgate")";
  if (refusal == Refusal::kMissing) return header;
  return header + R"(, error="invalid_token", error_description=")" + std::string(sentence_of(refusal)) + '"';
}

}  // namespace tailgate
