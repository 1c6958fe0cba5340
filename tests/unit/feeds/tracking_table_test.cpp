#include "gateway/feeds/tracking_table.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tailgate {
namespace {

class TrackingTableTest : public testing::Test {
 protected:
  // Lets periods pass, each with this many invalidations.
  void pass(int periods, int useful, int useless, std::size_t keys) {
    for (; periods > 0; --periods) {
      for (int i = 0; i < useful; ++i) table_.count_invalidation(true);
      for (int i = 0; i < useless; ++i) table_.count_invalidation(false);
      now_ += TrackingTable::kPeriod;
      table_.judge(now_, keys);
    }
  }

  TrackingTable table_;
  TrackingTable::Time now_{std::chrono::hours(1)};
};

TEST_F(TrackingTableTest, IsFullAfterFourPeriodsInWhichMostInvalidationsWereUseless) {
  pass(TrackingTable::kBadPeriods - 1, 0, 131, 20);
  EXPECT_FALSE(table_.is_full(now_));
  pass(1, 0, 131, 20);
  EXPECT_TRUE(table_.is_full(now_));
  EXPECT_TRUE(table_.is_full(now_ + TrackingTable::kFullFor - std::chrono::seconds(1)));
  EXPECT_FALSE(table_.is_full(now_ + TrackingTable::kFullFor));
}

TEST_F(TrackingTableTest, IsNotFullWhenFourInvalidationsForEachKeyAndEachChangeAreUseless) {
  pass(10, 0, 130, 20);
  EXPECT_FALSE(table_.is_full(now_)) << "allowed: 4 for each key, and 50";
  pass(10, 1000, 4130, 20);
  EXPECT_FALSE(table_.is_full(now_)) << "allowed: 4 for each useful one";
}

TEST_F(TrackingTableTest, IsNotFullAfterAnInterruptedFlood) {
  pass(TrackingTable::kBadPeriods - 1, 0, 100'000, 10'000);
  pass(1, 0, 0, 10'000);
  pass(TrackingTable::kBadPeriods - 1, 0, 100'000, 10'000);
  EXPECT_FALSE(table_.is_full(now_));
}

TEST_F(TrackingTableTest, ToleratesAtMost4050UselessInvalidationsInAPeriod) {
  pass(TrackingTable::kBadPeriods, 0, 4051, 100'000);
  EXPECT_TRUE(table_.is_full(now_));
}

TEST_F(TrackingTableTest, JudgesNothingBeforeAPeriodIsOver) {
  pass(1, 0, 0, 1);
  for (int i = 0; i < 100; ++i) {
    for (int n = 0; n < 40; ++n) table_.count_invalidation(false);
    table_.judge(now_ + std::chrono::milliseconds(i), 1);
  }
  pass(TrackingTable::kBadPeriods - 1, 0, 0, 1);
  EXPECT_FALSE(table_.is_full(now_));
}

TEST_F(TrackingTableTest, IsEmptyAgainAfterAReset) {
  pass(TrackingTable::kBadPeriods, 0, 1000, 1);
  table_.reset();
  EXPECT_FALSE(table_.is_full(now_));
}

}  // namespace
}  // namespace tailgate
