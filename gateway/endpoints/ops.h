// Ops: what load balancers, Prometheus and operators ask: /healthz, /readyz, /metrics, POST /drain.
//
// On a listener of its own, so that it answers whatever the stream listener is doing
// and is never routed to from outside by mistake.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gateway/auth/keys.h"
#include "gateway/http/server.h"
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
  // The listeners by the names that they have in the configuration.
  using Listeners = std::vector<std::pair<std::string, const HttpServer*>>;

  Ops(Services& services, Keys& keys, Readiness& readiness, Listeners listeners,
      std::function<void()> on_drain);

  // Looks whether all is there for the first time.
  void note_readiness();
  // Takes one request from the ops listener.
  void handle_request(std::unique_ptr<Exchange> exchange);

 private:
  bool redis_is_up() const;
  std::string health(bool ready) const;
  std::string metrics() const;

  Services& services_;
  Keys& keys_;
  Readiness& readiness_;
  Listeners listeners_;
  std::function<void()> on_drain_;
};

}  // namespace tailgate
