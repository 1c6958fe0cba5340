// ProviderKeys: one provider's public keys, fetched, kept and refreshed.
//
// Knows where a JWKS comes from (a file, a leg, a host) and when to ask again; what is in it
// is jwks.h's.  Keys once had stay while their place is in trouble: an issuer that is down signs nothing new,
// and what it signed before is still right.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/auth/jwks.h"
#include "gateway/auth/provider.h"
#include "gateway/base/backoff.h"
#include "gateway/http/fetch.h"
#include "gateway/loop/loop.h"
#include "gateway/loop/resolver.h"

namespace tailgate {

// How patient we are with issuers.
struct KeyTiming {
  std::chrono::milliseconds fetch{3000};           // for one answer, to its last byte
  std::chrono::milliseconds refetch_every{30000};  // at most, for a kid that nobody knows
  std::chrono::milliseconds first_retry{1000};     // after trouble; doubles up to `last_retry`
  std::chrono::milliseconds last_retry{60000};
};

// The interest in keys that are being fetched; ends when it dies.
using KeyWait = std::shared_ptr<const std::function<void()>>;

class ProviderKeys {
 public:
  // `rule` outlives the keys, or is replaced by use().  Begins to fetch at once.
  ProviderKeys(const Loop& loop, Resolver& resolver, const ProviderRule& rule, const KeyTiming& timing);
  ProviderKeys(const ProviderKeys&) = delete;
  ProviderKeys& operator=(const ProviderKeys&) = delete;

  // Precondition: the same places as before.
  void use(const ProviderRule& rule) { rule_ = &rule; }
  const ProviderRule& rule() const { return *rule_; }
  // Null until they have been had once.
  const std::shared_ptr<const KeySet>& keys() const { return keys_; }

  // Fetches the keys anew, unless that was done within `refetch_every`, and joins a fetch that is under way.
  // `done` is called from the loop when all places have answered or failed.  Null: nothing is under way, and
  // nothing new is to be expected now.
  [[nodiscard]] KeyWait refetch(std::function<void()> done);
  // Calls everybody who waits, whatever has come.
  void wake();

 private:
  struct Place {
    std::string text;  // as configured
    JwksPlace where;
    std::unique_ptr<HttpFetch> fetch;
    std::vector<VerificationKey> keys;
    std::string trouble;  // empty: none
  };

  void begin_round();
  void ask(Place& place);
  void settle(Place& place, const Result<std::string>& text);
  void take(Place& place, ParsedJwks parsed);
  void finish_round();

  const Loop& loop_;
  Resolver& resolver_;
  const ProviderRule* rule_;
  const KeyTiming timing_;
  std::vector<Place> places_;
  std::shared_ptr<const KeySet> keys_;
  std::vector<std::weak_ptr<const std::function<void()>>> waiting_;
  bool under_way_ = true;  // a round has begun, or is about to
  bool again_ = false;     // another one follows it, for a kid that may be newer than its answers
  std::size_t unsettled_ = 0;
  TimePoint next_refetch_{};
  Backoff backoff_;
  Timer timer_;  // the next round
};

}  // namespace tailgate
