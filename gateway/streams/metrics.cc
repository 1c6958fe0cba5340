#include "gateway/streams/metrics.h"

namespace tailgate {

RouteMetrics& Metrics::route(std::string_view name) {
  const auto found = routes.find(name);
  return found != routes.end() ? found->second : routes[std::string(name)];
}

void MetricsText::begin(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  text_ += "# HELP " + name_ + ' ';
  text_ += help;
  text_ += "\n# TYPE " + name_ + (type == Type::kCounter ? " counter\n" : " gauge\n");
}

void MetricsText::sample(std::string_view labels, std::uint64_t value) {
  text_ += name_;
  if (!labels.empty()) {
    text_ += '{';
    text_ += labels;
    text_ += '}';
  }
  text_ += ' ' + std::to_string(value) + '\n';
}

void MetricsText::label(std::string& labels, std::string_view name, std::string_view value) {
  if (!labels.empty()) labels += ',';
  labels += name;
  labels += "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') labels += '\\';
    if (c == '\n') {
      labels += "\\n";
    } else {
      labels += c;
    }
  }
  labels += '"';
}

void append_metrics(MetricsText& out, const Metrics& metrics) {
  using Type = MetricsText::Type;
  const auto by_route = [&](std::string_view name, Type type, std::string_view help, auto value) {
    out.begin(name, type, help);
    for (const auto& [route, counted] : metrics.routes) {
      std::string labels;
      MetricsText::label(labels, "route", route);
      out.sample(labels, value(counted));
    }
  };
  by_route("tailgate_streams_open", Type::kGauge, "Streams that are open now.",
           [](const RouteMetrics& route) { return route.open; });
  by_route("tailgate_streams_opened_total", Type::kCounter, "Streams that were opened.",
           [](const RouteMetrics& route) { return route.opened; });
  by_route("tailgate_events_delivered_total", Type::kCounter, "Events written to streams.",
           [](const RouteMetrics& route) { return route.events; });
  by_route("tailgate_bytes_delivered_total", Type::kCounter,
           "Bytes of events and heartbeats written to streams.",
           [](const RouteMetrics& route) { return route.bytes; });
  by_route("tailgate_payloads_skipped_total", Type::kCounter,
           "Payloads that were not what their route carries.",
           [](const RouteMetrics& route) { return route.skipped; });
  by_route("tailgate_gaps_total", Type::kCounter, "Gap and resync events sent.",
           [](const RouteMetrics& route) { return route.gaps; });

  out.begin("tailgate_streams_ended_total", Type::kCounter, "Streams that ended, by reason.");
  for (const auto& [route, counted] : metrics.routes) {
    for (std::size_t i = 0; i < counted.ended.size(); ++i) {
      if (counted.ended[i] == 0) continue;
      std::string labels;
      MetricsText::label(labels, "route", route);
      MetricsText::label(labels, "reason", kEndReasonWords[i]);
      out.sample(labels, counted.ended[i]);
    }
  }
  out.begin("tailgate_answers_total", Type::kCounter,
            "Requests that got an answer other than a stream, by status.");
  for (const auto& [route, counted] : metrics.routes) {
    for (const auto& [status, count] : counted.answered) {
      std::string labels;
      MetricsText::label(labels, "route", route);
      MetricsText::label(labels, "status", std::to_string(status));
      out.sample(labels, count);
    }
  }
  out.begin("tailgate_reloads_total", Type::kCounter, "Reloads of the configuration that were taken.");
  out.sample({}, metrics.reloads);
  out.begin("tailgate_reloads_refused_total", Type::kCounter,
            "Reloads of the configuration or the identity keys that were refused.");
  out.sample({}, metrics.reloads_refused);
  out.begin("tailgate_unrouted_total", Type::kCounter, "Requests that matched no route.");
  out.sample({}, metrics.not_found);
  out.begin("tailgate_token_verifications_total", Type::kCounter,
            "Tokens that were verified, not found among the verdicts that are kept.");
  out.sample({}, metrics.token_verifications);
  out.begin("tailgate_auth_verdicts_total", Type::kCounter, "Answers of /auth, by verdict.");
  for (const auto& [verdict, count] : metrics.verdicts) {
    std::string labels;
    MetricsText::label(labels, "verdict", verdict);
    out.sample(labels, count);
  }
}

}  // namespace tailgate
