// Authenticator: who is asking?  Puts the request, its route, the providers' keys and the time together.
//
// Pure.  Knows every rule of identity; knows no socket, no clock, and not where keys come from.
// One Authenticator belongs to one Config: another one's providers may have other secrets under the same
// names.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/auth/credentials.h"
#include "gateway/auth/identity_seal.h"
#include "gateway/auth/jwks.h"
#include "gateway/auth/jwt.h"
#include "gateway/auth/provider.h"
#include "gateway/auth/refusal.h"
#include "gateway/auth/token_cache.h"
#include "gateway/base/wall_time.h"
#include "gateway/routes/route.h"

namespace tailgate {

// A provider with its keys as they are now.
struct Issuer {
  const ProviderRule* rule = nullptr;
  std::shared_ptr<const KeySet> keys;  // null: never had (or it has secrets instead)
};

// Where the Authenticator looks providers up.
class Issuers {
 public:
  virtual ~Issuers() = default;
  // A null rule if there is no such provider.
  virtual Issuer issuer(const std::string& provider) const = 0;
};

struct Verdict {
  enum class Kind {
    kOk,          // `identity` is proven
    kOpen,        // nobody needs to prove anything here
    kRefused,     // `refusal` says why: 401
    kNoKeys,      // `provider`'s keys have never been had: 503
    kUnknownKid,  // `provider` may have new keys: fetch them and ask again
  };
  Kind kind = Kind::kRefused;
  Identity identity{};
  Refusal refusal = Refusal::kMissing;
  std::string provider{};
};

// The value of X-Tailgate-Verdict: "ok", "open", "401-expired", "503-keys".
std::string word_of(const Verdict& verdict);

class Authenticator {
 public:
  // `issuers` outlives the authenticator.
  explicit Authenticator(const Issuers& issuers, TokenCache::Bounds bounds = {});

  // kReport: a kid that no key has may belong to a new key, so the verdict is kUnknownKid.
  // kRefuse: the keys are as new as they can be.
  enum class UnknownKid { kReport, kRefuse };

  // Credentials in the route's order; the first token that is believed names the user, the first session
  // id the session.  A bad explicit token is refused at once, a bad cookie is as none.
  Verdict authenticate(const Route& route, const RequestParts& request, WallTime now, UnknownKid unknown_kid);

  // How many tokens were verified, not found in the cache.
  std::uint64_t verifications() const { return verifications_; }
  std::size_t cached() const { return cache_.size(); }

 private:
  enum class TokenOutcome { kBelieved, kRefused, kNoKeys, kUnknownKid };
  struct TokenCheck {
    TokenOutcome outcome = TokenOutcome::kRefused;
    CachedToken verdict{};
  };
  std::vector<Issuer> issuers_of(const Route& route) const;
  TokenCheck check_token(std::string_view token, const std::vector<Issuer>& issuers, WallTime now);

  const Issuers& issuers_;
  TokenCache cache_;
  std::uint64_t verifications_ = 0;
};

}  // namespace tailgate
