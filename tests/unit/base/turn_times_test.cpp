#include "gateway/base/turn_times.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

using std::chrono::microseconds;

TEST(TurnTimes, CountsEachTurnInEveryBucketThatIsLongEnough) {
  TurnTimes times;
  for (const int turn : {50, 51, 200, 1'500, 100'000, 700'000}) times.add(microseconds(turn));
  MetricsText out;
  times.write_metrics(out);
  EXPECT_EQ(out.text(),
            "# HELP tailgate_loop_turn_seconds How long the turns of the event loop took.\n"
            "# TYPE tailgate_loop_turn_seconds histogram\n"
            "tailgate_loop_turn_seconds_bucket{le=\"0.00005\"} 1\n"
            "tailgate_loop_turn_seconds_bucket{le=\"0.0001\"} 2\n"
            "tailgate_loop_turn_seconds_bucket{le=\"0.0002\"} 3\n"
            "tailgate_loop_turn_seconds_bucket{le=\"0.0005\"} 3\n"
            "tailgate_loop_turn_seconds_bucket{le=\"0.001\"} 3\n"
            "tailgate_loop_turn_seconds_bucket{le=\"0.002\"} 4\n"
            "tailgate_loop_turn_seconds_bucket{le=\"0.005\"} 4\n"
            "tailgate_loop_turn_seconds_bucket{le=\"0.02\"} 4\n"
            "tailgate_loop_turn_seconds_bucket{le=\"0.1\"} 5\n"
            "tailgate_loop_turn_seconds_bucket{le=\"+Inf\"} 6\n"
            "tailgate_loop_turn_seconds_sum 0.801801\n"
            "tailgate_loop_turn_seconds_count 6\n");
}

}  // namespace
}  // namespace tailgate
