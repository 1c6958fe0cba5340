#include "gateway/endpoints/ops.h"

#include <unistd.h>

#include <utility>

#include "gateway/base/log.h"
#include "gateway/endpoints/intake.h"
#include "gateway/redis/link.h"
#include "gateway/text/json.h"

namespace tailgate {

Ops::Ops(Services& services, Keys& keys, Readiness& readiness,
         std::function<void(MetricsText&)> write_metrics, std::function<void()> on_drain)
    : services_(services),
      keys_(keys),
      readiness_(readiness),
      write_metrics_(std::move(write_metrics)),
      on_drain_(std::move(on_drain)) {
}

bool Ops::redis_is_up() const {
  return services_.channels.up() && services_.looks.up() && services_.log_reader.up() && services_.pages.up();
}

void Ops::note_readiness() {
  if (readiness_.ready_once || !redis_is_up() || !keys_.has_all_keys()) return;
  readiness_.ready_once = true;
  log_info("ready");
}

void Ops::handle_request(std::unique_ptr<Exchange> exchange) {
  const std::string_view path = split_target(exchange->target()).path;
  const std::string_view method = exchange->method();
  const bool reads = method == "GET" || method == "HEAD";
  const HttpHeaders json = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
  const auto only = [&](const char* allowed) {
    exchange->answer(405, {{"Allow", allowed}, {"Content-Type", "application/json"}},
                     R"({"detail":"This address has another method"})");
  };

  if (path == "/healthz") {
    if (!reads) return only("GET, HEAD");
    exchange->answer(200, json, R"({"status":"alive"})");
  } else if (path == "/readyz") {
    if (!reads) return only("GET, HEAD");
    note_readiness();
    const bool ready = readiness_.ready_once && !readiness_.draining;
    exchange->answer(ready ? 200 : 503, json, health(ready));
  } else if (path == "/metrics") {
    if (!reads) return only("GET, HEAD");
    MetricsText out;
    write_metrics_(out);
    exchange->answer(200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, out.text());
  } else if (path == "/drain") {
    if (method != "POST") return only("POST");
    on_drain_();
    exchange->answer(202, json, R"({"status":"draining"})");
  } else {
    exchange->answer(404, json, R"({"detail":"Not found"})");
  }
}

std::string Ops::health(bool ready) const {
  const char* const status = readiness_.draining ? "draining" : ready ? "ready" : "starting";
  return json_object({{"status", json_quote(status)},
                      {"redis", json_quote(redis_is_up() ? "up" : "down")},
                      {"keys", json_quote(keys_.has_all_keys() ? "had" : "missing")},
                      {"pid", std::to_string(getpid())}});
}

}  // namespace tailgate
