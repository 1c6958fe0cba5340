// Refusal: why somebody's proof of who he is was not believed.
//
// Pure.  One word each for headers, logs and metrics, one sentence each for people.  None says
// anything about the token but what is wrong with it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tailgate {

// In the order of the checks: of several providers the one that came furthest says what is wrong.
enum class Refusal : std::uint8_t {
  kMissing,    // no credential at all
  kMalformed,  // not a compact JWS of at most kMaxTokenBytes, or one with critical extensions
  kAlgorithm,  // not one that the provider allows, or not one that fits the key
  kKid,        // names a key that the provider does not have
  kSignature,
  kClaims,  // a required claim is missing, or one has the wrong type
  kExpired,
  kEarly,  // `nbf` or `iat` lies ahead
  kIssuer,
  kAudience,
  kParty,    // `azp`
  kSubject,  // none, empty, too long, or not printable
};

inline constexpr std::array kRefusals = {
    Refusal::kMissing,   Refusal::kMalformed, Refusal::kAlgorithm, Refusal::kKid,
    Refusal::kSignature, Refusal::kClaims,    Refusal::kExpired,   Refusal::kEarly,
    Refusal::kIssuer,    Refusal::kAudience,  Refusal::kParty,     Refusal::kSubject,
};

// "expired": never changes, so that dashboards keep working.
std::string_view word_of(Refusal refusal);
std::optional<Refusal> refusal_named(std::string_view word);

// "The token has expired", without a full stop.
std::string_view sentence_of(Refusal refusal);

// The WWW-Authenticate header of the 401 (RFC 6750 section 3): an error is named only where a token was
// shown.
std::string challenge_for(Refusal refusal);

}  // namespace tailgate
