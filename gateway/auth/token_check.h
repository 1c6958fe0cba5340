// TokenCheck: checks whether one token is genuine, and reads its user.
//
// Pure.  Parses the token.  Then, for each provider that may have issued it, checks the signature with the
// provider's keys, and the claims.  Knows no request, no route and no cache.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/auth/jwks.h"
#include "gateway/auth/provider.h"
#include "gateway/auth/refusal.h"
#include "gateway/base/wall_time.h"

namespace tailgate {

struct Provider {
  const ProviderRule* rule = nullptr;
  std::shared_ptr<const KeySet> keys;  // null: not fetched yet, or the provider has secrets instead
  bool is_complete = true;             // false: one of its JWKS has never been fetched
};

enum class TokenOutcome {
  kAccepted,
  kRefused,
  kUnknownKid,  // no key has the token's kid; the provider may have published a new key
  kNoKeys,      // the key may be in a JWKS that has never been fetched
};

struct TokenCheck {
  TokenOutcome outcome = TokenOutcome::kRefused;
  Refusal refusal = Refusal::kMalformed;  // without meaning if accepted
  std::string user{};                     // if accepted
  std::string refused_by{};               // if refused: the provider whose checks came furthest
  std::string claim{};                    // if refused: the claim that this provider refused, or empty
  std::string provider{};                 // the provider that accepted the token, or whose keys are missing
  std::optional<WallTime> until{};        // if accepted: when the token expires, leeway included
};

TokenCheck check_token(std::string_view token, const std::vector<Provider>& providers, WallTime now);

}  // namespace tailgate
