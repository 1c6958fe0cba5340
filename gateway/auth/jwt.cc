#include "gateway/auth/jwt.h"

#include <cstdlib>
#include <utility>

#include "gateway/text/digest.h"
#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

Hash hash_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kHS256:
      return Hash::kSha256;
    case Algorithm::kHS384:
      return Hash::kSha384;
    case Algorithm::kHS512:
      return Hash::kSha512;
    default:
      std::abort();
  }
}

bool read_strictly(Members& members, std::string_view json) {
  return is_utf8(json) && members.read(json) && !members.has_duplicates();
}

}  // namespace

std::variant<Jwt, Refusal> parse_jwt(std::string_view token) {
  if (token.size() > kMaxTokenBytes) return Refusal::kMalformed;
  const auto parts = split(token, '.');
  if (parts.size() != 3) return Refusal::kMalformed;
  auto header = base64url_decode(parts[0]);
  auto payload = base64url_decode(parts[1]);
  auto signature = base64url_decode(parts[2]);
  if (!header || !payload || !signature) return Refusal::kMalformed;

  Jwt jwt;
  Members members;
  if (!read_strictly(members, *header)) return Refusal::kMalformed;
  const JsonValue* alg = members.find("alg");
  if (alg == nullptr || !alg->is_string()) return Refusal::kMalformed;
  const auto algorithm = algorithm_named(alg->text());
  if (!algorithm) return Refusal::kAlgorithm;
  jwt.algorithm = *algorithm;
  // RFC 7515 section 4.1.11: Tailgate understands no critical extension, so it refuses each of them.
  if (members.find("crit") != nullptr) return Refusal::kMalformed;
  if (const JsonValue* kid = members.find("kid")) {
    if (!kid->is_string()) return Refusal::kMalformed;
    jwt.kid = kid->text();
  }

  if (!read_strictly(members, *payload)) return Refusal::kMalformed;
  if (const JsonValue* issuer = members.find("iss"); issuer != nullptr && issuer->is_string()) {
    jwt.issuer = issuer->text();
  }
  // An empty signature is refused after `alg` has been checked, so that an unsigned token is refused for its
  // algorithm "none".
  if (signature->empty()) return Refusal::kMalformed;
  jwt.payload = std::move(*payload);
  jwt.signed_text = token.substr(0, parts[0].size() + 1 + parts[1].size());
  jwt.signature = std::move(*signature);
  return jwt;
}

bool secret_verifies(std::string_view secret, Algorithm algorithm, std::string_view text,
                     std::string_view signature) {
  return !secret.empty() && same_secret(hmac(hash_of(algorithm), secret, text), signature);
}

}  // namespace tailgate
