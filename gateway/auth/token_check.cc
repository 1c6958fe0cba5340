#include "gateway/auth/token_check.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "gateway/auth/claims.h"
#include "gateway/auth/jwt.h"

namespace tailgate {

namespace {

TokenCheck refused(Refusal refusal, std::string claim = {}) {
  return {.outcome = TokenOutcome::kRefused, .refusal = refusal, .claim = std::move(claim)};
}

// The providers whose issuer is the token's `iss`; if there are none, the providers without an issuer.
std::vector<const Provider*> possible_providers(const Jwt& jwt, const std::vector<Provider>& providers) {
  std::vector<const Provider*> named;
  std::vector<const Provider*> without_issuer;
  for (const Provider& provider : providers) {
    if (provider.rule->issuer.empty()) {
      without_issuer.push_back(&provider);
    } else if (provider.rule->issuer == jwt.issuer) {
      named.push_back(&provider);
    }
  }
  return named.empty() ? without_issuer : named;
}

TokenCheck check_with_secrets(const Jwt& jwt, const std::vector<std::string>& secrets) {
  if (secrets.empty()) return refused(Refusal::kAlgorithm);
  const bool verifies = std::any_of(secrets.begin(), secrets.end(), [&jwt](const std::string& secret) {
    return secret_verifies(secret, jwt.algorithm, jwt.signed_text, jwt.signature);
  });
  return verifies ? TokenCheck{.outcome = TokenOutcome::kAccepted} : refused(Refusal::kSignature);
}

TokenCheck check_with_keys(const Jwt& jwt, const Provider& provider) {
  const auto candidates = provider.keys->candidates(jwt.kid);
  Refusal refusal = Refusal::kAlgorithm;
  for (const VerificationKey* key : candidates) {
    if (!key->fits(jwt.algorithm)) continue;
    if (key->key.verifies(jwt.algorithm, jwt.signed_text, jwt.signature)) {
      return {.outcome = TokenOutcome::kAccepted};
    }
    refusal = Refusal::kSignature;
  }
  const bool has_kid = jwt.kid && !candidates.empty() && candidates.front()->kid == jwt.kid;
  if (!provider.is_complete && !has_kid) return {.outcome = TokenOutcome::kNoKeys};
  if (candidates.empty()) return {.outcome = TokenOutcome::kUnknownKid, .refusal = Refusal::kKid};
  return refused(refusal);
}

TokenCheck check_signature(const Jwt& jwt, const Provider& provider) {
  const ProviderRule& rule = *provider.rule;
  const bool is_allowed = std::ranges::find(rule.algorithms, jwt.algorithm) != rule.algorithms.end();
  if (!is_allowed) return refused(Refusal::kAlgorithm);
  if (is_symmetric(jwt.algorithm)) return check_with_secrets(jwt, rule.secrets);
  if (rule.jwks.empty()) return refused(Refusal::kAlgorithm);
  if (provider.keys == nullptr) return {.outcome = TokenOutcome::kNoKeys};
  return check_with_keys(jwt, provider);
}

TokenCheck check_with_provider(const Jwt& jwt, const Provider& provider, WallTime now) {
  TokenCheck check = check_signature(jwt, provider);
  check.provider = provider.rule->name;
  if (check.outcome != TokenOutcome::kAccepted) return check;
  auto claims = check_claims(jwt.payload, *provider.rule, now);
  if (auto* fault = std::get_if<ClaimFault>(&claims)) return refused(fault->refusal, std::move(fault->claim));
  check.user = std::move(std::get<Claims>(claims).subject);
  check.until = std::get<Claims>(claims).until;
  return check;
}

}  // namespace

TokenCheck check_token(std::string_view token, const std::vector<Provider>& providers, WallTime now) {
  const auto parsed = parse_jwt(token);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) return refused(*refusal);
  const Jwt& jwt = std::get<Jwt>(parsed);
  const auto possible = possible_providers(jwt, providers);
  if (possible.empty()) return refused(Refusal::kIssuer, "iss");

  TokenCheck result = refused(Refusal::kMalformed);
  for (const Provider* provider : possible) {
    TokenCheck check = check_with_provider(jwt, *provider, now);
    if (check.outcome == TokenOutcome::kAccepted) return check;
    if (check.refusal > result.refusal || result.refused_by.empty()) {
      result.refusal = check.refusal;
      result.refused_by = provider->rule->name;
      result.claim = std::move(check.claim);
    }
    // The token is not refused for good: the next fetch may bring a key that verifies it.
    if (check.outcome == TokenOutcome::kNoKeys ||
        (check.outcome == TokenOutcome::kUnknownKid && result.outcome == TokenOutcome::kRefused)) {
      result.outcome = check.outcome;
      result.provider = std::move(check.provider);
    }
  }
  return result;
}

}  // namespace tailgate
