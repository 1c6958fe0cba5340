// Jwt: parses a compact JSON Web Signature (RFC 7515), strictly.
//
// Pure.  Verifies no signature, so nothing in a Jwt may be trusted.  Ignores `jwk`, `jku`, `x5u` and `x5c`: a
// token must not choose the key that verifies it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "gateway/auth/algorithm.h"
#include "gateway/auth/refusal.h"
#include "gateway/http/head.h"

namespace tailgate {

// The limit of a request's whole head.  So no token that arrives is refused for its length.
inline constexpr std::size_t kMaxTokenBytes = kMostHeadBytes;

struct Jwt {
  Algorithm algorithm{};
  std::optional<std::string> kid;
  std::optional<std::string> issuer;  // the claim `iss`, not verified; selects the provider
  std::string payload;                // the claims: one JSON object in UTF-8 without duplicate members
  std::string_view signed_text;       // header "." payload; points into the token
  std::string signature;
};

// Requires three non-empty parts in strict base64url.  Header and payload must be JSON objects in UTF-8
// without duplicate members.  `alg` must be the name of an Algorithm, and `crit` must be absent.
std::variant<Jwt, Refusal> parse_jwt(std::string_view token);

// True if `signature` is the HMAC of `text`.  False for an empty secret.
// Precondition: is_symmetric(algorithm).
bool secret_verifies(std::string_view secret, Algorithm algorithm, std::string_view text,
                     std::string_view signature);

}  // namespace tailgate
