#include "gateway/auth/authenticator.h"

#include <optional>
#include <utility>

#include "gateway/auth/jwt.h"
#include "gateway/text/digest.h"
#include "gateway/text/netstring.h"

namespace tailgate {

namespace {

Verdict refused_as(const TokenCheck& check) {
  return {.kind = Verdict::Kind::kRefused,
          .refusal = check.refusal,
          .provider = check.refused_by,
          .claim = check.claim};
}

// The cache key covers the providers' keys, so that a token is checked again when the keys have changed.
// Netstrings separate the parts, so that no crafted token can imitate a provider.
Digest cache_key(std::string_view token, const std::vector<Provider>& providers) {
  std::string text = std::to_string(providers.size());
  for (const Provider& provider : providers) {
    append_netstring(text, provider.rule->name);
    append_netstring(text, provider.keys != nullptr ? provider.keys->fingerprint() : std::string_view());
  }
  append_netstring(text, token);
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
      break;
  }
  return "503-keys";
}

Authenticator::Authenticator(std::function<Provider(const std::string&)> lookup)
    : lookup_(std::move(lookup)) {
}

Verdict Authenticator::authenticate(const Route& route, const RequestParts& request, WallTime now,
                                    UnknownKid unknown_kid) {
  if (route.who == Who::kAnyone || route.auth == AuthBy::kApplication) return {.kind = Verdict::Kind::kOpen};

  const std::vector<Provider> providers = providers_of(route);
  Identity proven;
  std::optional<Verdict> cookie_refused;
  for (const PresentedCredential& credential : find_credentials(route.credentials, request)) {
    if (credential.kind == PresentedCredential::Kind::kSession) {
      if (proven.session.empty()) proven.session = credential.text;
      continue;
    }
    if (!proven.user.empty()) continue;
    TokenCheck check = check_or_recall(credential.text, providers, now);
    // A token that cannot be checked now, even one in a cookie, is not replaced by a weaker credential.
    if (check.outcome == TokenOutcome::kNoKeys ||
        (check.outcome == TokenOutcome::kUnknownKid && unknown_kid == UnknownKid::kReport)) {
      return {.kind = Verdict::Kind::kNoKeys, .provider = std::move(check.provider)};
    }
    if (check.outcome == TokenOutcome::kAccepted) {
      proven.user = std::move(check.user);
      proven.provider = std::move(check.provider);
      proven.until = check.until;
    } else if (credential.is_explicit) {
      return refused_as(check);
    } else if (!cookie_refused) {
      cookie_refused = refused_as(check);
    }
  }
  if (!proven.user.empty() || !proven.session.empty()) {
    return {.kind = Verdict::Kind::kOk, .identity = std::move(proven)};
  }
  return cookie_refused.value_or(Verdict{.kind = Verdict::Kind::kRefused, .refusal = Refusal::kMissing});
}

std::vector<Provider> Authenticator::providers_of(const Route& route) const {
  std::vector<Provider> providers;
  for (const std::string& name : route.providers) {
    Provider provider = lookup_(name);
    if (provider.rule != nullptr) providers.push_back(std::move(provider));
  }
  return providers;
}

TokenCheck Authenticator::check_or_recall(std::string_view token, const std::vector<Provider>& providers,
                                          WallTime now) {
  const Digest key = cache_key(token, providers);
  if (const TokenCheck* known = accepted_.find(key, now)) return *known;
  if (const TokenCheck* known = refused_.find(key, now)) return *known;
  ++verifications_;
  TokenCheck check = check_token(token, providers, now);
  // kNoKeys and kUnknownKid are not cached, because a new key may change the outcome.  kEarly is not cached,
  // because the token becomes valid later.
  if (check.outcome == TokenOutcome::kAccepted) {
    accepted_.insert(key, check, now);
  } else if (check.outcome == TokenOutcome::kRefused && check.refusal != Refusal::kEarly) {
    refused_.insert(key, check, now);
  }
  return check;
}

void Authenticator::forget() {
  accepted_.clear();
  refused_.clear();
}

}  // namespace tailgate
