#include "gateway/endpoints/ops.h"

#include <unistd.h>

#include <array>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/endpoints/intake.h"
#include "gateway/redis/link.h"
#include "gateway/streams/metrics.h"
#include "gateway/text/json.h"

namespace tailgate {

Ops::Ops(Services& services, Keys& keys, Readiness& readiness, Listeners listeners,
         std::function<void()> on_drain)
    : services_(services),
      keys_(keys),
      readiness_(readiness),
      listeners_(std::move(listeners)),
      on_drain_(std::move(on_drain)) {
}

bool Ops::redis_is_up() const {
  return services_.channels.up() && services_.looks.up() && services_.log_reader.up() && services_.pages.up();
}

void Ops::note_readiness() {
  if (readiness_.ready_once || !redis_is_up() || !keys_.had_all()) return;
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
    exchange->answer(200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, metrics());
  } else if (path == "/drain") {
    if (method != "POST") return only("POST");
    on_drain_();
    exchange->answer(202, json, R"({"status":"draining"})");
  } else {
    exchange->answer(404, json, R"({"detail":"Not found"})");
  }
}

std::string Ops::health(bool ready) const {
  return std::string(R"({"status":)") +
         (readiness_.draining ? R"("draining")" : (ready ? R"("ready")" : R"("starting")")) + R"(,"redis":)" +
         (redis_is_up() ? R"("up")" : R"("down")") + R"(,"keys":)" +
         (keys_.had_all() ? R"("had")" : R"("missing")") + R"(,"pid":)" + std::to_string(getpid()) + '}';
}

std::string Ops::metrics() const {
  using Type = MetricsText::Type;
  MetricsText out;
  append_metrics(out, services_.streams.metrics_now());
  out.begin("tailgate_draining", Type::kGauge, "1 while this process ends its streams.");
  out.sample({}, std::uint64_t{readiness_.draining});
  out.begin("tailgate_streams", Type::kGauge,
            "Streams and requests that are being served, openings among them.");
  out.sample({}, std::uint64_t{services_.streams.count()});
  out.begin("tailgate_heap_bytes", Type::kGauge, "What the heap holds, as limits.memory_mb counts it.");
  out.sample({}, MemoryBudget::in_use());
  out.begin("tailgate_channels_watched", Type::kGauge, "Redis channels that are subscribed to for streams.");
  out.sample({}, std::uint64_t{services_.channels.watched()});
  out.begin("tailgate_logs_followed", Type::kGauge, "Redis Streams that have a live reader.");
  out.sample({}, std::uint64_t{services_.log_feeds.followed()});
  out.begin(
      "tailgate_log_wakeups", Type::kGauge,
      "1 for what wakes the readers of logs: notifications or tracking by Redis, or a sweep of our own.");
  for (const std::string_view by : {"notifications", "tracking", "sweep"}) {
    std::string labels;
    MetricsText::label(labels, "by", by);
    out.sample(labels, std::uint64_t{by == services_.log_feeds.woken_by()});
  }
  out.begin("tailgate_messages_received_total", Type::kCounter, "Messages received on channels.");
  out.sample({}, services_.channels.messages());
  out.begin("tailgate_record_looks_total", Type::kCounter, "Looks at records in Redis.");
  out.sample({}, services_.records.looks());

  const auto by_listener = [&](const char* name, Type type, const char* help, auto value) {
    out.begin(name, type, help);
    for (const auto& [listener, server] : listeners_) {
      std::string labels;
      MetricsText::label(labels, "listener", listener);
      out.sample(labels, std::uint64_t{value(*server)});
    }
  };
  by_listener("tailgate_connections", Type::kGauge, "Open client connections, idle ones among them.",
              [](const HttpServer& server) { return server.connections(); });
  by_listener("tailgate_connections_turned_away_total", Type::kCounter,
              "Connections closed at once for want of descriptors.",
              [](const HttpServer& server) { return server.turned_away(); });
  by_listener("tailgate_requests_refused_total", Type::kCounter,
              "Requests that were none: malformed, too large or too slow.",
              [](const HttpServer& server) { return server.refused(); });

  const std::array<const RedisLink*, 4> links = {&services_.channels.link(), &services_.looks,
                                                 &services_.log_reader.link(), &services_.pages};
  const auto by_link = [&](const char* name, Type type, const char* help, auto value) {
    out.begin(name, type, help);
    for (const RedisLink* link : links) {
      std::string labels;
      MetricsText::label(labels, "link", link->name());
      out.sample(labels, value(*link));
    }
  };
  by_link("tailgate_redis_up", Type::kGauge, "1 while the link to Redis is up.",
          [](const RedisLink& link) { return std::uint64_t{link.up()}; });
  by_link("tailgate_redis_lost_total", Type::kCounter, "How often the link to Redis was lost.",
          [](const RedisLink& link) { return link.times_lost(); });
  out.begin("tailgate_redis_rests_total", Type::kCounter,
            "How often the busy subscriber link waited a moment, to read several messages at once.");
  out.sample({}, services_.channels.link().rests());
  out.begin("tailgate_provider_keys", Type::kGauge, "1 if the provider's keys are there.");
  for (const auto& provider : services_.config->providers) {
    std::string labels;
    MetricsText::label(labels, "provider", provider->name);
    out.sample(labels, std::uint64_t{keys_.had(provider->name)});
  }
  return out.text();
}

}  // namespace tailgate
