#include "gateway/streams/drain_schedule.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

using std::chrono::seconds;
using Time = std::chrono::steady_clock::time_point;

const Time kNow{seconds(1000)};
const Time kBy = kNow + seconds(20);

TEST(DrainSchedule, EndsChannelsInTheFirstHalf) {
  EXPECT_EQ(drain_moment(kNow, kBy, kFirstHalf, 0.0), kNow + seconds(10));
  EXPECT_EQ(drain_moment(kNow, kBy, kFirstHalf, 0.5), kNow + seconds(5));
}

TEST(DrainSchedule, EndsLogsInTheSecondHalf) {
  EXPECT_EQ(drain_moment(kNow, kBy, kSecondHalf, 0.0), kBy);
  EXPECT_EQ(drain_moment(kNow, kBy, kSecondHalf, 0.5), kNow + seconds(15));
}

TEST(DrainSchedule, EndsHeldAnswersInTheLastTwentieth) {
  EXPECT_EQ(drain_moment(kNow, kBy, kLastTwentieth, 0.0), kBy);
  EXPECT_GT(drain_moment(kNow, kBy, kLastTwentieth, 0.999), kBy - seconds(1));
}

}  // namespace
}  // namespace tailgate
