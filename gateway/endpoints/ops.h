// Ops: answers load balancers, Prometheus and operators: /healthz, /readyz, /metrics, POST /drain.
//
// Ops has its own listener.  So Ops answers even if the stream listener is busy, and a proxy that passes all
// paths to the stream listener does not make /metrics and /drain public.  /readyz answers 200 from the first
// time that the gateway is ready until a drain begins.  The gateway is ready once it has its keys, all links
// to Redis are up and ReadCheck has passed.  The body reports a lost Redis or missing keys.  The status does
// not, because a load balancer would then drop every gateway during a short loss of Redis.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "gateway/auth/keys.h"
#include "gateway/base/metrics_text.h"
#include "gateway/endpoints/drain_state.h"
#include "gateway/feeds/read_check.h"
#include "gateway/http/exchange.h"
#include "gateway/redis/link.h"

namespace tailgate {

class Ops {
 public:
  using Links = std::array<const RedisLink*, 4>;

  // `write_metrics` writes the whole answer of /metrics.
  Ops(Links links, const ReadCheck& read_check, const Keys& keys, const DrainState& drain,
      std::function<void(MetricsText&)> write_metrics, std::function<void()> on_drain);

  // Returns true if /readyz answers 200.  Logs the first time that the gateway is ready.
  bool check_readiness();
  void handle_request(std::unique_ptr<Exchange> exchange);

 private:
  bool redis_is_up() const;
  // Empty if no cause is known.
  std::string why_not_ready() const;
  std::string health(bool ready) const;

  Links links_;
  const ReadCheck& read_check_;
  const Keys& keys_;
  const DrainState& drain_;
  std::function<void(MetricsText&)> write_metrics_;
  std::function<void()> on_drain_;
  bool was_ready_ = false;
};

}  // namespace tailgate
