// Auth: answers nginx's auth_request with the caller's sealed identity, or with a refusal.
//
// It has a listener of its own, so that only nginx can ask for an identity.  Every answer carries
// X-Tailgate-Verdict.  A request whose token names an unknown signing key waits for the provider's keys.  The
// log and the metrics say which provider refused a token, and which claim was at fault.  The answer does not
// name the claim.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/auth/authenticator.h"
#include "gateway/auth/keys.h"
#include "gateway/base/log.h"
#include "gateway/base/metrics_text.h"
#include "gateway/config/config.h"
#include "gateway/endpoints/drain_state.h"
#include "gateway/http/exchange.h"
#include "gateway/loop/loop.h"

namespace tailgate {

class Auth {
 public:
  // `config` is the current configuration: a reload replaces it.
  Auth(const Loop& loop, const std::shared_ptr<const Config>& config, const IdentitySeal& seal,
       const DrainState& drain, Keys& keys);

  void handle_request(std::unique_ptr<Exchange> exchange);
  // Call this when the configuration was replaced.  Forgets the results of all token checks.
  void on_reload() { authenticator_.forget(); }
  void write_metrics(MetricsText& out) const;

 private:
  // A request that waits for the provider's keys.
  struct Waiting final : Exchange::Observer {
    explicit Waiting(TurnEnd& its_clean_up) : clean_up(its_clean_up) {}
    void on_gone(Exchange::Gone /*gone*/) override {
      over = true;
      clean_up.ask();
    }

    TurnEnd& clean_up;
    std::unique_ptr<Exchange> exchange;
    KeyWait wait;
    bool over = false;
  };

  Verdict authenticate(const Exchange& exchange, const RouteMatch& match, std::string_view query,
                       Authenticator::UnknownKid unknown_kid);
  void answer(Exchange& exchange, const RouteMatch& match, const Verdict& verdict);
  void answer(Exchange& exchange, int status, const std::string& verdict, HttpHeaders headers);
  void on_keys(Waiting& waiting);
  void note_refusal(const Verdict& verdict);

  const std::shared_ptr<const Config>& config_;
  const IdentitySeal& seal_;
  const DrainState& drain_;
  Keys& keys_;
  Authenticator authenticator_;
  std::list<Waiting> waiting_;
  std::map<std::string, std::uint64_t> verdicts_;  // how many answers, by verdict
  // Provider, reason and claim of a refused token.  Providers and claims come from the configuration, so the
  // number of labels is bounded.
  using RefusalLabels = std::array<std::string, 3>;
  struct RefusedTokens {
    std::uint64_t count = 0;
    LogValve valve{1, 1.0 / 60};
  };
  std::map<RefusalLabels, RefusedTokens> refused_;
  TurnEnd clean_up_;
};

}  // namespace tailgate
