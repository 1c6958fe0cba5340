// Refusal: why a token, or a request without a token, is refused.
//
// Pure.  Each reason has a word for headers, logs and metrics, and a sentence for people.  The sentence names
// the fault and reveals nothing else about the token.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tailgate {

// In the order of the checks.  If several providers refuse a token, the last reason in this order is
// reported, because the provider with this reason came furthest in its checks.
enum class Refusal : std::uint8_t {
  kMissing,    // no credential at all
  kMalformed,  // no compact JWS, longer than kMaxTokenBytes, or with critical extensions
  kAlgorithm,  // the provider does not allow the algorithm, or the key does not fit it
  kKid,        // the token names a key that the provider does not have
  kSignature,
  kClaims,  // a required claim is missing, or a claim has the wrong type
  kExpired,
  kEarly,  // `nbf` or `iat` is in the future
  kIssuer,
  kAudience,
  kParty,    // `azp` is not accepted
  kSubject,  // missing, empty, too long or not printable
};

// For example "expired".  The words never change, so that dashboards keep working.
std::string_view word_of(Refusal refusal);
std::optional<Refusal> refusal_named(std::string_view word);

// For example "The token has expired", without a full stop.
std::string_view sentence_of(Refusal refusal);

// The WWW-Authenticate header of the 401 (RFC 6750 section 3).  Names an error only if the request had a
// token.
std::string challenge_for(Refusal refusal);

}  // namespace tailgate
