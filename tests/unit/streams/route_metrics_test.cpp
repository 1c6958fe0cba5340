#include "gateway/streams/route_metrics.h"

#include <gtest/gtest.h>

#include <string>

namespace tailgate {
namespace {

std::string text_of(const RouteMetrics& metrics) {
  MetricsText out;
  metrics.write(out);
  return out.text();
}

bool has_line(const std::string& text, const std::string& line) {
  return ('\n' + text).find('\n' + line + '\n') != std::string::npos;
}

TEST(RouteMetrics, CountEachRouteByItsName) {
  RouteMetrics metrics;
  metrics.of("events").open = 2;
  metrics.of("events").opened = 5;
  metrics.of("events").events = 11;
  metrics.of("events").bytes = 1234;
  metrics.of("events").skipped = 3;
  metrics.of("events").gaps = 1;
  metrics.of("log-stream").opened = 9;
  const std::string text = text_of(metrics);
  for (const char* line :
       {R"(tailgate_streams_open{route="events"} 2)", R"(tailgate_streams_opened_total{route="events"} 5)",
        R"(tailgate_events_delivered_total{route="events"} 11)",
        R"(tailgate_bytes_delivered_total{route="events"} 1234)",
        R"(tailgate_payloads_skipped_total{route="events"} 3)", R"(tailgate_gaps_total{route="events"} 1)",
        R"(tailgate_streams_open{route="log-stream"} 0)",
        R"(tailgate_streams_opened_total{route="log-stream"} 9)"}) {
    EXPECT_TRUE(has_line(text, line)) << line << "\n" << text;
  }
}

TEST(RouteMetrics, CountEndsOnlyByReasonsThatOccurred) {
  RouteMetrics metrics;
  metrics.of("events").ended[0] = 4;
  const std::string text = text_of(metrics);
  const std::string first = "tailgate_streams_ended_total{route=\"events\",reason=\"";
  EXPECT_TRUE(has_line(text, first + std::string(kEndReasonWords[0]) + "\"} 4")) << text;
  EXPECT_EQ(text.find(first), text.rfind(first)) << text;
}

TEST(RouteMetrics, CountAnswersByStatus) {
  RouteMetrics metrics;
  metrics.of("events").answered[404] = 2;
  metrics.of("events").answered[503] = 1;
  const std::string text = text_of(metrics);
  for (const char* line : {R"(tailgate_answers_total{route="events",status="404"} 2)",
                           R"(tailgate_answers_total{route="events",status="503"} 1)"}) {
    EXPECT_TRUE(has_line(text, line)) << line << "\n" << text;
  }
}

TEST(RouteMetrics, EndTheNameOfEachCounterInTotal) {
  RouteMetrics metrics;
  metrics.of("events");
  const std::string text = text_of(metrics);
  std::size_t at = 0;
  int seen = 0;
  while ((at = text.find("# TYPE ", at)) != std::string::npos) {
    const std::string line = text.substr(at, text.find('\n', at) - at);
    EXPECT_EQ(line.ends_with(" counter"), line.find("_total ") != std::string::npos) << line;
    at += line.size();
    ++seen;
  }
  EXPECT_EQ(seen, 8);
}

}  // namespace
}  // namespace tailgate
