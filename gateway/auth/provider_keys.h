// ProviderKeys: fetches one provider's JWKS (its public keys), keeps it and refreshes it.
//
// Knows where a JWKS comes from (a file, a unix socket, a host) and when to fetch it again; jwks.h knows its
// contents.  A *round* fetches every source of the provider once.  If a source fails, its earlier keys stay
// in use: an issuer that is down signs no new token, and its earlier signatures stay valid.  A JWKS without a
// usable key is not a failure: the issuer has withdrawn its keys.
#pragma once

#include <chrono>
#include <cstddef>
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

struct KeyTiming {
  std::chrono::milliseconds fetch{3000};           // the timeout of one fetch, to its last byte
  std::chrono::milliseconds refetch_every{30000};  // the shortest time between two refetches
  // The wait after a round in which a source failed, or if no source has a usable key.  Doubles up to
  // `last_retry`.
  std::chrono::milliseconds first_retry{1000};
  std::chrono::milliseconds last_retry{60000};
};

// A lease of one wait.  The function is called after the round if the lease is still alive.
using KeyWait = std::shared_ptr<const std::function<void()>>;

class ProviderKeys {
 public:
  // Begins the first round at once.  `rule` must outlive this object, unless replace_rule() replaces it.
  ProviderKeys(const Loop& loop, Resolver& resolver, const ProviderRule& rule, const KeyTiming& timing);
  ProviderKeys(const ProviderKeys&) = delete;
  ProviderKeys& operator=(const ProviderKeys&) = delete;

  // Keeps the keys of each source that is also in the new rule.  Drops the running fetches, so call
  // read_again() afterwards.
  void replace_rule(const ProviderRule& rule);
  // Reads every file now, and asks every server at once, even if a round is running.  If all sources are
  // files, also calls `done` of every waiting refetch().  Until a source has answered, its earlier keys stay
  // in use.
  void read_again();
  const ProviderRule& rule() const { return *rule_; }
  // Null until the first fetch of a source succeeds.
  const std::shared_ptr<const KeySet>& keys() const { return keys_; }
  // True once every source has answered.  Until then a key that is not in keys() may still exist.
  bool is_complete() const;
  // Why the last fetch of a source failed; empty if none did.
  std::string why_failed() const;

  // Call this for a token whose key is missing.  At most once per `refetch_every`, begins a round or repeats
  // the running round.  Otherwise joins the running round.  `done` is called from the loop after the round,
  // even if the round failed.  Returns null if no round is running and none may begin yet.
  [[nodiscard]] KeyWait refetch(std::function<void()> done);
  // Calls `done` of every refetch() whose lease still lives.
  void notify_waiters();

 private:
  struct Source {
    std::string text;  // as configured
    JwksSource address;
    std::unique_ptr<HttpFetch> fetch;
    bool has_answered = false;          // a fetch has succeeded
    std::vector<VerificationKey> keys;  // from the last fetch that succeeded
    std::string left_out;               // why that fetch left out other keys
    std::string error;                  // of the last fetch; empty: it succeeded
  };

  void add_sources(std::vector<Source> before);
  void gather_keys();
  void begin_round();
  void fetch(Source& source);
  void on_fetched(Source& source, const Result<std::string>& text);
  void accept(Source& source, ParsedJwks parsed);
  void end_round();

  const Loop& loop_;
  Resolver& resolver_;
  const ProviderRule* rule_;
  const KeyTiming timing_;
  std::vector<Source> sources_;
  std::shared_ptr<const KeySet> keys_;  // of all sources
  std::vector<std::weak_ptr<const std::function<void()>>> waiting_;
  bool is_running_ = true;        // a round is running or about to begin
  bool is_reread_ = false;        // read_again() began this round, so known failures are logged again
  bool is_repeated_ = false;      // another round follows at once
  std::size_t fetches_left_ = 0;  // in this round
  TimePoint next_refetch_{};
  Backoff backoff_;
  Timer timer_;  // begins the next round
};

}  // namespace tailgate
