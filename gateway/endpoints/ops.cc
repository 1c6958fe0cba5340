#include "gateway/endpoints/ops.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/endpoints/target.h"
#include "gateway/text/json.h"

namespace tailgate {

Ops::Ops(Links links, const ReadCheck& read_check, const Keys& keys, const DrainState& drain,
         std::function<void(MetricsText&)> write_metrics, std::function<void()> on_drain)
    : links_(links),
      read_check_(read_check),
      keys_(keys),
      drain_(drain),
      write_metrics_(std::move(write_metrics)),
      on_drain_(std::move(on_drain)) {
}

bool Ops::redis_is_up() const {
  return std::all_of(links_.begin(), links_.end(), [](const RedisLink* link) { return link->up(); });
}

bool Ops::check_readiness() {
  if (!was_ready_ && redis_is_up() && read_check_.passed() && keys_.has_all_keys()) {
    was_ready_ = true;
    log_info("ready");
  }
  return was_ready_ && !drain_.draining();
}

void Ops::handle_request(std::unique_ptr<Exchange> exchange) {
  const std::string_view path = split_target(exchange->target()).path;
  const std::string_view method = exchange->method();
  const bool reads = method == "GET" || method == "HEAD";
  HttpHeaders json = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
  drain_.add_close(json);
  const auto only = [&](const char* allowed) {
    exchange->answer(405, {{"Allow", allowed}, {"Content-Type", "application/json"}},
                     R"({"detail":"This address has another method"})");
  };

  if (path == "/healthz") {
    if (!reads) return only("GET, HEAD");
    exchange->answer(200, json, R"({"status":"alive"})");
  } else if (path == "/readyz") {
    if (!reads) return only("GET, HEAD");
    const bool ready = check_readiness();
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

std::string Ops::why_not_ready() const {
  const std::string why = read_check_.why();
  return why.empty() ? keys_.why_missing() : why;
}

std::string Ops::health(bool ready) const {
  const char* const status = drain_.draining() ? "draining" : ready ? "ready" : "starting";
  const std::string redis = json_quote(redis_is_up() ? "up" : "down");
  const std::string keys = json_quote(keys_.has_all_keys() ? "had" : "missing");
  const std::string pid = std::to_string(getpid());
  const std::string why = was_ready_ ? "" : why_not_ready();
  if (why.empty())
    return json_object({{"status", json_quote(status)}, {"redis", redis}, {"keys", keys}, {"pid", pid}});
  return json_object({{"status", json_quote(status)},
                      {"redis", redis},
                      {"keys", keys},
                      {"why", json_quote(why)},
                      {"pid", pid}});
}

}  // namespace tailgate
