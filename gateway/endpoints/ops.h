// Ops: what load balancers, Prometheus and operators ask: /healthz, /readyz, /metrics, POST /drain.
//
// On a listener of its own, so that it answers whatever the stream listener is doing
// and is never routed to from outside by mistake.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "gateway/auth/keys.h"
#include "gateway/base/metrics_text.h"
#include "gateway/http/exchange.h"
#include "gateway/streams/services.h"

namespace tailgate {

// Alive and ready are different questions.  A lost Redis or an issuer that is down is in the body, not in
// the status: a load balancer that drops all targets in a blip makes an outage of it.
struct Readiness {
  bool ready_once = false;  // was the gateway ever ready to serve?
  bool draining = false;
};

class Ops {
 public:
  // `write_metrics` writes all that /metrics answers.
  Ops(Services& services, Keys& keys, Readiness& readiness, std::function<void(MetricsText&)> write_metrics,
      std::function<void()> on_drain);

  // Looks whether all is there for the first time.
  void note_readiness();
  // Takes one request from the ops listener.
  void handle_request(std::unique_ptr<Exchange> exchange);

 private:
  bool redis_is_up() const;
  std::string health(bool ready) const;

  Services& services_;
  Keys& keys_;
  Readiness& readiness_;
  std::function<void(MetricsText&)> write_metrics_;
  std::function<void()> on_drain_;
};

}  // namespace tailgate
