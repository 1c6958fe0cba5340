// Jwt: a compact JSON Web Signature (RFC 7515) taken apart, strictly.
//
// Pure.  Knows the token's bytes and nothing else; here nothing in it is believed.  Where the key
// is to be found the token has no say: `jwk`, `jku`, `x5u` and `x5c` are not looked at.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "gateway/auth/provider.h"
#include "gateway/auth/refusal.h"

namespace tailgate {

// nginx takes header lines of up to 8 KB, so none larger arrives.
inline constexpr std::size_t kMaxTokenBytes = 8192;

struct Jwt {
  Algorithm algorithm{};
  std::optional<std::string> kid;
  std::optional<std::string> issuer;  // what `iss` claims, to choose among providers
  std::string payload;                // the claims: one JSON object in UTF-8 without duplicate members
  std::string_view signed_text;       // header "." payload; points into the token
  std::string signature;
};

// Three non-empty parts in strict base64url; header and payload JSON objects in UTF-8 that name no member
// twice; `alg` one that we know, in its exact spelling; no `crit`.
std::variant<Jwt, Refusal> parse_jwt(std::string_view token);

// Is `signature` the HMAC of `text`?  Never with an empty secret.  Precondition: is_symmetric(algorithm).
bool secret_verifies(std::string_view secret, Algorithm algorithm, std::string_view text,
                     std::string_view signature);

}  // namespace tailgate
