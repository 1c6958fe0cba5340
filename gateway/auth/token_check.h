// TokenCheck: decides whether one token is genuine, and whose it is.
//
// Pure.  Asks every provider that may have issued the token: parse_jwt(), then the signature with the
// provider's keys, then check_claims().  Knows no request, no route and no cache.
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

// A provider with its present keys.
struct Provider {
  const ProviderRule* rule = nullptr;
  std::shared_ptr<const KeySet> keys;  // null: not fetched yet, or the provider has secrets instead
};

enum class TokenOutcome {
  kAccepted,
  kRefused,
  kUnknownKid,  // no key has the token's kid; the provider may have published a new one
  kNoKeys,      // the provider's keys have never been fetched
};

struct TokenCheck {
  TokenOutcome outcome = TokenOutcome::kRefused;
  Refusal refusal = Refusal::kMalformed;  // unless accepted
  std::string user{};                     // if accepted
  std::string provider{};           // unless refused: the one that accepts it, or whose keys are missing
  std::optional<WallTime> until{};  // if accepted: when the token expires, leeway included
};

TokenCheck check_token(std::string_view token, const std::vector<Provider>& providers, WallTime now);

}  // namespace tailgate
