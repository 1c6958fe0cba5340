#include "gateway/streams/metrics.h"

#include <gtest/gtest.h>

#include <string>

namespace tailgate {
namespace {

std::string text_of(const Metrics& metrics) {
  MetricsText out;
  append_metrics(out, metrics);
  return out.text();
}

bool has_line(const std::string& text, const std::string& line) {
  return ('\n' + text).find('\n' + line + '\n') != std::string::npos;
}

TEST(MetricsText, SaysHelpAndTypeBeforeTheSamples) {
  MetricsText out;
  out.begin("a_total", MetricsText::Type::kCounter, "What a is.");
  out.sample({}, 7);
  out.begin("b", MetricsText::Type::kGauge, "What b is.");
  out.sample(R"(x="1")", 0);
  out.sample(R"(x="2",y="3")", 18446744073709551615U);
  EXPECT_EQ(out.text(),
            "# HELP a_total What a is.\n"
            "# TYPE a_total counter\n"
            "a_total 7\n"
            "# HELP b What b is.\n"
            "# TYPE b gauge\n"
            "b{x=\"1\"} 0\n"
            "b{x=\"2\",y=\"3\"} 18446744073709551615\n");
}

TEST(MetricsText, EscapesWhatWouldEndALabelOrItsLine) {
  std::string labels;
  MetricsText::label(labels, "route", R"(a"b\c)");
  EXPECT_EQ(labels, R"(route="a\"b\\c")");
  MetricsText::label(labels, "reason", "x\ny");
  EXPECT_EQ(labels, R"(route="a\"b\\c",reason="x\ny")");
}

TEST(Metrics, CountEachRouteByItsName) {
  Metrics metrics;
  metrics.route("events").open = 2;
  metrics.route("events").opened = 5;
  metrics.route("events").events = 11;
  metrics.route("events").bytes = 1234;
  metrics.route("events").skipped = 3;
  metrics.route("events").gaps = 1;
  metrics.route("log-stream").opened = 9;
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

TEST(Metrics, CountEndsOnlyByReasonsThatOccurred) {
  Metrics metrics;
  metrics.route("events").ended[0] = 4;
  const std::string text = text_of(metrics);
  const std::string first = "tailgate_streams_ended_total{route=\"events\",reason=\"";
  EXPECT_TRUE(has_line(text, first + std::string(kEndReasonWords[0]) + "\"} 4")) << text;
  EXPECT_EQ(text.find(first), text.rfind(first)) << text;
}

TEST(Metrics, CountAnswersByStatusAndVerdictsByTheirWord) {
  Metrics metrics;
  metrics.route("events").answered[404] = 2;
  metrics.route("events").answered[503] = 1;
  metrics.verdicts["ok"] = 8;
  metrics.not_found = 6;
  metrics.token_verifications = 7;
  const std::string text = text_of(metrics);
  for (const char* line : {R"(tailgate_answers_total{route="events",status="404"} 2)",
                           R"(tailgate_answers_total{route="events",status="503"} 1)",
                           R"(tailgate_auth_verdicts_total{verdict="ok"} 8)", "tailgate_unrouted_total 6",
                           "tailgate_token_verifications_total 7"}) {
    EXPECT_TRUE(has_line(text, line)) << line << "\n" << text;
  }
}

TEST(Metrics, ACounterIsSaidToBeOneAndIsNamedSo) {
  Metrics metrics;
  metrics.route("events");
  const std::string text = text_of(metrics);
  std::size_t at = 0;
  int seen = 0;
  while ((at = text.find("# TYPE ", at)) != std::string::npos) {
    const std::string line = text.substr(at, text.find('\n', at) - at);
    EXPECT_EQ(line.ends_with(" counter"), line.find("_total ") != std::string::npos) << line;
    at += line.size();
    ++seen;
  }
  EXPECT_GE(seen, 10);
}

}  // namespace
}  // namespace tailgate
