#include "gateway/base/metrics_text.h"

#include <gtest/gtest.h>

#include <string>

namespace tailgate {
namespace {

TEST(MetricsText, WritesHelpAndTypeBeforeTheSamples) {
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

TEST(MetricsText, EscapesQuotesBackslashesAndLineEndsInLabels) {
  EXPECT_EQ(MetricsText::label("route", R"(a"b\c)"), R"(route="a\"b\\c")");
  EXPECT_EQ(MetricsText::label("reason", "x\ny"), R"(reason="x\ny")");
}

TEST(MetricsText, WritesACounterOrAGaugeWithOneSample) {
  MetricsText out;
  out.counter("a_total", "A.", 1);
  out.gauge("b", "B.", 2);
  EXPECT_EQ(out.text(),
            "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n"
            "# HELP b B.\n# TYPE b gauge\nb 2\n");
}

}  // namespace
}  // namespace tailgate
