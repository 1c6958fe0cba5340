#include "gateway/feeds/tracking_room.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tailgate {
namespace {

class TrackingRoomTest : public testing::Test {
 protected:
  // So many of each in so many spans.
  void pass(int spans, int useful, int vain, std::size_t logs) {
    for (; spans > 0; --spans) {
      for (int i = 0; i < useful; ++i) room_.count(true);
      for (int i = 0; i < vain; ++i) room_.count(false);
      now_ += TrackingRoom::kSpan;
      room_.look(now_, logs);
    }
  }

  TrackingRoom room_;
  TrackingRoom::Time now_{std::chrono::hours(1)};
};

TEST_F(TrackingRoomTest, IsFullOnceMostInvalidationsToldOfNothingOftenEnough) {
  pass(TrackingRoom::kTimes - 1, 0, 131, 20);
  EXPECT_FALSE(room_.full(now_));
  pass(1, 0, 131, 20);
  EXPECT_TRUE(room_.full(now_));
  EXPECT_TRUE(room_.full(now_ + TrackingRoom::kFull - std::chrono::seconds(1)));
  EXPECT_FALSE(room_.full(now_ + TrackingRoom::kFull));
}

TEST_F(TrackingRoomTest, IsNotFullWhereLogsExpireOrAreTrimmed) {
  pass(10, 0, 130, 20);
  EXPECT_FALSE(room_.full(now_)) << "four for each log, and fifty";
  pass(10, 1000, 4130, 20);
  EXPECT_FALSE(room_.full(now_)) << "four for each that told of something";
}

TEST_F(TrackingRoomTest, IsNotFullOverOneFlood) {
  pass(TrackingRoom::kTimes - 1, 0, 100'000, 10'000);
  pass(1, 0, 0, 10'000);
  pass(TrackingRoom::kTimes - 1, 0, 100'000, 10'000);
  EXPECT_FALSE(room_.full(now_));
}

TEST_F(TrackingRoomTest, IsFoundFullWithManyLogsToo) {
  pass(TrackingRoom::kTimes, 0, 4051, 100'000);
  EXPECT_TRUE(room_.full(now_));
}

TEST_F(TrackingRoomTest, JudgesNothingBeforeASpanIsOver) {
  pass(1, 0, 0, 1);
  for (int i = 0; i < 100; ++i) {
    for (int n = 0; n < 40; ++n) room_.count(false);
    room_.look(now_ + std::chrono::milliseconds(i), 1);
  }
  pass(TrackingRoom::kTimes - 1, 0, 0, 1);
  EXPECT_FALSE(room_.full(now_));
}

TEST_F(TrackingRoomTest, BeginsAnewWithAnotherServer) {
  pass(TrackingRoom::kTimes, 0, 1000, 1);
  room_.begin_anew();
  EXPECT_FALSE(room_.full(now_));
}

}  // namespace
}  // namespace tailgate
