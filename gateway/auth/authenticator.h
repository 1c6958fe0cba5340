// Authenticator: decides from a request's credentials who sends it.
//
// Pure.  find_credentials() finds a token, and check_token() verifies it unless a TokenCache knows it.  Reads
// no clock and fetches no keys.
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
    kOpen,     // the route needs no proof from the gateway
    kRefused,  // 401; `refusal` says why
    kNoKeys,   // 503: fetch the keys of `provider` and authenticate again
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
  // `lookup` returns a provider with its present keys; its rule is null if there is no such provider.
  explicit Authenticator(std::function<Provider(const std::string& name)> lookup);

  // kReport: a token whose kid no key has yields kNoKeys, because its key may be new.
  // kRefuse: it is refused, because the keys have just been fetched.
  enum class UnknownKid { kReport, kRefuse };

  // Tries the credentials in the route's order.  The first accepted token names the user, the first session
  // id the session.  An explicit token that is refused ends it; a cookie that is refused is ignored.
  Verdict authenticate(const Route& route, const RequestParts& request, WallTime now, UnknownKid unknown_kid);

  // Forgets all tokens.  Call it on a reload, because a provider's secrets may have changed.
  void forget();
  // The number of tokens that were verified because the cache did not know them.
  std::uint64_t verifications() const { return verifications_; }

 private:
  std::vector<Provider> providers_of(const Route& route) const;
  TokenCheck check_or_recall(std::string_view token, const std::vector<Provider>& providers, WallTime now);

  std::function<Provider(const std::string&)> lookup_;
  // An accepted token takes about 120 bytes, and 600 at most.  Refused tokens have a cache of their own, so
  // that a stranger's garbage evicts no accepted token.
  TokenCache accepted_{20000, std::chrono::minutes(5)};
  TokenCache refused_{2000, std::chrono::seconds(10)};
  std::uint64_t verifications_ = 0;
};

}  // namespace tailgate
