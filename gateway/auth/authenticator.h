// Authenticator: identifies the sender of a request by the request's credentials.
//
// Pure.  find_credentials() finds a token.  check_token() verifies the token, unless a TokenCache holds the
// token's result.  Reads no clock and fetches no keys.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
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

struct Verdict {
  enum class Kind {
    kOk,       // `identity` is proven
    kOpen,     // the route is public, or its application authenticates
    kRefused,  // 401; `refusal` says why
    kNoKeys,   // 503: fetch the keys of `provider` and authenticate again
  };
  Kind kind = Kind::kRefused;
  Identity identity{};
  Refusal refusal = Refusal::kMissing;
  std::string provider{};  // kNoKeys: whose keys are missing; kRefused: who refused the token, or empty
  std::string claim{};     // kRefused: the claim at fault; empty: the fault is not in a claim
};

// The value of X-Tailgate-Verdict, for example "ok", "open", "401-expired" or "503-keys".
std::string word_of(const Verdict& verdict);

class Authenticator {
 public:
  // `lookup` returns a provider with its current keys, or a null rule if there is no such provider.
  explicit Authenticator(std::function<Provider(const std::string& name)> lookup);

  // What to do if no key has the token's kid.  kReport: return kNoKeys, because the key may be new.
  // kRefuse: refuse the token, because the keys have just been fetched.
  enum class UnknownKid { kReport, kRefuse };

  // Tries the credentials in the route's order.  The first accepted token and the first session id count.  A
  // refused token in a cookie is skipped.  Any other refused token refuses the request, unless a token has
  // been accepted before it.
  Verdict authenticate(const Route& route, const RequestParts& request, WallTime now, UnknownKid unknown_kid);

  // Empties the caches.  Call it on a reload, because a provider's secrets may have changed.
  void forget();
  // The number of tokens that were verified because no cache held their result.
  std::uint64_t verifications() const { return verifications_; }

 private:
  std::vector<Provider> providers_of(const Route& route) const;
  TokenCheck check_or_recall(std::string_view token, const std::vector<Provider>& providers, WallTime now);

  std::function<Provider(const std::string&)> lookup_;
  // The entry of an accepted token takes about 180 bytes, at most 660.  Refused tokens have their own cache,
  // so that a flood of invalid tokens evicts no accepted one.
  TokenCache accepted_{20000, std::chrono::minutes(5)};
  TokenCache refused_{2000, std::chrono::seconds(10)};
  std::uint64_t verifications_ = 0;
};

}  // namespace tailgate
