#include "gateway/streams/route_metrics.h"

namespace tailgate {

RouteCounts& RouteMetrics::of(std::string_view route) {
  const auto found = routes_.find(route);
  return found != routes_.end() ? found->second : routes_[std::string(route)];
}

void RouteMetrics::write(MetricsText& out) const {
  using Type = MetricsText::Type;
  const auto by_route = [&](std::string_view name, Type type, std::string_view help,
                            std::uint64_t RouteCounts::*count) {
    out.begin(name, type, help);
    for (const auto& [route, counts] : routes_) out.sample(MetricsText::label("route", route), counts.*count);
  };
  by_route("tailgate_streams_open", Type::kGauge, "Streams that are open now.", &RouteCounts::open);
  by_route("tailgate_streams_opened_total", Type::kCounter, "Streams that were opened.",
           &RouteCounts::opened);
  by_route("tailgate_events_delivered_total", Type::kCounter, "Events written to streams.",
           &RouteCounts::events);
  by_route("tailgate_bytes_delivered_total", Type::kCounter,
           "Bytes of events and heartbeats written to streams.", &RouteCounts::bytes);
  by_route("tailgate_payloads_skipped_total", Type::kCounter,
           "Payloads that were not what their route carries.", &RouteCounts::skipped);
  by_route("tailgate_gaps_total", Type::kCounter, "Gap and resync events sent.", &RouteCounts::gaps);

  out.begin("tailgate_streams_ended_total", Type::kCounter, "Streams that ended, by reason.");
  for (const auto& [route, counts] : routes_) {
    for (std::size_t i = 0; i < counts.ended.size(); ++i) {
      if (counts.ended[i] == 0) continue;
      const std::string reason = MetricsText::label("reason", kEndReasonWords[i]);
      out.sample(MetricsText::label("route", route) + ',' + reason, counts.ended[i]);
    }
  }
  out.begin("tailgate_answers_total", Type::kCounter,
            "Requests that got an answer other than a stream, by status.");
  for (const auto& [route, counts] : routes_) {
    for (const auto& [status, count] : counts.answered) {
      const std::string label = MetricsText::label("status", std::to_string(status));
      out.sample(MetricsText::label("route", route) + ',' + label, count);
    }
  }
}

}  // namespace tailgate
