#include "gateway/auth/authenticator.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "gateway/auth/claims.h"
#include "gateway/text/digest.h"

namespace tailgate {

namespace {

// What stands between a token and one issuer's belief in it.
enum class Signature { kGood, kNoKeys, kUnknownKid, kWrongAlgorithm, kBad };

Signature check_signature(const Jwt& jwt, const Issuer& issuer) {
  const auto& allowed = issuer.rule->algorithms;
  if (std::find(allowed.begin(), allowed.end(), jwt.algorithm) == allowed.end())
    return Signature::kWrongAlgorithm;

  if (is_symmetric(jwt.algorithm)) {
    const auto& secrets = issuer.rule->secrets;
    const bool good = std::any_of(secrets.begin(), secrets.end(), [&jwt](const std::string& secret) {
      return secret_verifies(secret, jwt.algorithm, jwt.signed_text, jwt.signature);
    });
    if (good) return Signature::kGood;
    return secrets.empty() ? Signature::kWrongAlgorithm : Signature::kBad;
  }

  if (issuer.rule->jwks.empty()) return Signature::kWrongAlgorithm;
  if (issuer.keys == nullptr) return Signature::kNoKeys;
  const auto candidates = issuer.keys->candidates(jwt.kid);
  if (candidates.empty()) return Signature::kUnknownKid;
  Signature found = Signature::kWrongAlgorithm;
  for (const VerificationKey* key : candidates) {
    if (!key->fits(jwt.algorithm)) continue;
    if (key->key.verifies(jwt.algorithm, jwt.signed_text, jwt.signature)) return Signature::kGood;
    found = Signature::kBad;
  }
  return found;
}

// Those that the token may come from: the ones whose issuer it names, else the ones that name none.
std::vector<const Issuer*> choose(const Jwt& jwt, const std::vector<Issuer>& issuers) {
  std::vector<const Issuer*> named;
  std::vector<const Issuer*> nameless;
  for (const Issuer& issuer : issuers) {
    if (issuer.rule->issuer.empty()) {
      nameless.push_back(&issuer);
    } else if (issuer.rule->issuer == jwt.issuer) {
      named.push_back(&issuer);
    }
  }
  return named.empty() ? nameless : named;
}

// One token before one set of providers with their keys of now.  Every part has its length in front: a token
// is a stranger's text, and must not pass for a part of the providers.
Digest digest_of(std::string_view token, const std::vector<Issuer>& issuers) {
  std::string text = std::to_string(issuers.size());
  const auto add = [&text](std::string_view part) {
    text += ' ';
    text += std::to_string(part.size());
    text += ':';
    text += part;
  };
  for (const Issuer& issuer : issuers) {
    add(issuer.rule->name);
    add(issuer.keys != nullptr ? issuer.keys->fingerprint() : std::string_view());
  }
  add(token);
  return sha256(text);
}

}  // namespace

std::string word_of(const Verdict& verdict) {
  switch (verdict.kind) {
    case Verdict::Kind::kOk:
      return "ok";
    case Verdict::Kind::kOpen:
      return "open";
    case Verdict::Kind::kRefused:
      return "401-" + std::string(word_of(verdict.refusal));
    case Verdict::Kind::kNoKeys:
    case Verdict::Kind::kUnknownKid:
      return "503-keys";
  }
  return "503-keys";
}

Authenticator::Authenticator(const Issuers& issuers, TokenCache::Bounds bounds)
    : issuers_(issuers), cache_(bounds) {
}

Verdict Authenticator::authenticate(const Route& route, const RequestParts& request, WallTime now,
                                    UnknownKid unknown_kid) {
  if (route.who == Who::kAnyone || route.auth == AuthBy::kApplication) return {.kind = Verdict::Kind::kOpen};

  const std::vector<Issuer> issuers = issuers_of(route);
  Identity proven;
  std::optional<Refusal> bad_cookie;
  for (const Shown& shown : shown_credentials(route.credentials, request)) {
    if (shown.kind == Shown::Kind::kSession) {
      if (proven.session.empty()) proven.session = shown.text;
      continue;
    }
    if (!proven.user.empty()) continue;
    TokenCheck checked = check_token(shown.text, issuers, now);
    if (checked.outcome == TokenOutcome::kUnknownKid && unknown_kid == UnknownKid::kRefuse) {
      checked.outcome = TokenOutcome::kRefused;
    }
    CachedToken& verdict = checked.verdict;
    switch (checked.outcome) {
      case TokenOutcome::kBelieved:
        proven.user = std::move(verdict.user);
        proven.provider = std::move(verdict.provider);
        proven.until = verdict.until;
        break;
      case TokenOutcome::kRefused:
        if (shown.is_explicit) return {.kind = Verdict::Kind::kRefused, .refusal = *verdict.refusal};
        if (!bad_cookie) bad_cookie = verdict.refusal;
        break;
      // Whoever cannot be judged is not sent away as somebody weaker, cookie or not.
      case TokenOutcome::kNoKeys:
        return {.kind = Verdict::Kind::kNoKeys, .provider = std::move(verdict.provider)};
      case TokenOutcome::kUnknownKid:
        return {.kind = Verdict::Kind::kUnknownKid, .provider = std::move(verdict.provider)};
    }
  }
  if (!proven.user.empty() || !proven.session.empty()) {
    return {.kind = Verdict::Kind::kOk, .identity = std::move(proven)};
  }
  return {.kind = Verdict::Kind::kRefused, .refusal = bad_cookie.value_or(Refusal::kMissing)};
}

std::vector<Issuer> Authenticator::issuers_of(const Route& route) const {
  std::vector<Issuer> issuers;
  for (const std::string& provider : route.providers) {
    Issuer issuer = issuers_.issuer(provider);
    if (issuer.rule != nullptr) issuers.push_back(std::move(issuer));
  }
  return issuers;
}

Authenticator::TokenCheck Authenticator::check_token(std::string_view token,
                                                     const std::vector<Issuer>& issuers, WallTime now) {
  if (token.size() > kMaxTokenBytes) return {.verdict = {.refusal = Refusal::kMalformed}};
  const Digest digest = digest_of(token, issuers);
  if (const CachedToken* known = cache_.find(digest, now)) {
    return {.outcome = known->refusal ? TokenOutcome::kRefused : TokenOutcome::kBelieved, .verdict = *known};
  }

  ++verifications_;
  TokenCheck checked{.outcome = TokenOutcome::kRefused, .verdict = {.refusal = Refusal::kMalformed}};
  const auto refuse = [&checked](Refusal refusal) {
    checked.verdict.refusal = std::max(*checked.verdict.refusal, refusal);
  };
  const auto parsed = parse_jwt(token);
  const auto* jwt = std::get_if<Jwt>(&parsed);
  std::vector<const Issuer*> chosen;
  if (jwt == nullptr) {
    refuse(std::get<Refusal>(parsed));
  } else {
    chosen = choose(*jwt, issuers);
    if (chosen.empty()) refuse(Refusal::kIssuer);
  }
  for (const Issuer* issuer : chosen) {
    switch (check_signature(*jwt, *issuer)) {
      case Signature::kGood: {
        auto claimed = check_claims(jwt->payload, *issuer->rule, now);
        if (auto* claims = std::get_if<Claims>(&claimed)) {
          CachedToken good{.refusal = std::nullopt,
                           .user = std::move(claims->subject),
                           .provider = issuer->rule->name,
                           .until = claims->until};
          cache_.keep(digest, good, now);
          return {.outcome = TokenOutcome::kBelieved, .verdict = std::move(good)};
        }
        refuse(std::get<Refusal>(claimed));
        break;
      }
      case Signature::kWrongAlgorithm:
        refuse(Refusal::kAlgorithm);
        break;
      case Signature::kBad:
        refuse(Refusal::kSignature);
        break;
      case Signature::kUnknownKid:
        refuse(Refusal::kKid);
        if (checked.outcome == TokenOutcome::kRefused) {
          checked.outcome = TokenOutcome::kUnknownKid;
          checked.verdict.provider = issuer->rule->name;
        }
        break;
      case Signature::kNoKeys:
        checked.outcome = TokenOutcome::kNoKeys;
        checked.verdict.provider = issuer->rule->name;
        break;
    }
  }
  // A refusal that time or a new key may turn is not kept.
  if (checked.outcome == TokenOutcome::kRefused && checked.verdict.refusal != Refusal::kEarly) {
    cache_.keep(digest, checked.verdict, now);
  }
  return checked;
}

}  // namespace tailgate
