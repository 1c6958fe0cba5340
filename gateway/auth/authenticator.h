// Authenticator: decides from a request's credentials who sends it.
//
// Pure.  A token's way: find_credentials() finds it, the TokenCache may know it, else check_token() verifies
// it; authenticate() makes the Verdict.  Reads no clock and fetches no keys. An Authenticator serves one
// configuration: the secrets of another may differ under the same names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/auth/credentials.h"
#include "gateway/auth/identity_seal.h"
#include "gateway/auth/refusal.h"
#include "gateway/auth/token_cache.h"
#include "gateway/auth/token_check.h"
#include "gateway/base/wall_time.h"
#include "gateway/routes/route.h"

namespace tailgate {

// Gives the Authenticator the providers with their present keys.
class ProviderLookup {
 public:
  virtual ~ProviderLookup() = default;
  // A null rule if there is no such provider.
  virtual Provider provider(const std::string& name) const = 0;
};

struct Verdict {
  enum class Kind {
    kOk,          // `identity` is proven
    kOpen,        // the route needs no proof from the gateway
    kRefused,     // 401; `refusal` says why
    kNoKeys,      // 503: the keys of `provider` have never been fetched
    kUnknownKid,  // `provider` may have new keys: fetch them and authenticate again
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
  // `providers` outlives the authenticator.
  explicit Authenticator(const ProviderLookup& providers, TokenCache::Bounds bounds = {});

  // kReport: a token whose kid no key has yields kUnknownKid, because its key may be new.
  // kRefuse: it is refused, because the keys have just been fetched.
  enum class UnknownKid { kReport, kRefuse };

  // Tries the credentials in the route's order.  The first accepted token names the user, the first session
  // id the session.  An explicit token that is refused ends it; a cookie that is refused is ignored.
  Verdict authenticate(const Route& route, const RequestParts& request, WallTime now, UnknownKid unknown_kid);

  // The number of tokens that were verified because the cache did not know them.
  std::uint64_t verifications() const { return verifications_; }
  std::size_t cached() const { return cache_.size(); }

 private:
  std::vector<Provider> providers_of(const Route& route) const;
  TokenCheck check_or_recall(std::string_view token, const std::vector<Provider>& providers, WallTime now);

  const ProviderLookup& providers_;
  TokenCache cache_;
  std::uint64_t verifications_ = 0;
};

}  // namespace tailgate
