#include "gateway/routes/limits.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tailgate {
namespace {

TEST(StreamLimits, AreUnboundedByDefault) {
  StreamLimits limits;
  std::vector<StreamLimits::Ticket> held;
  for (int i = 0; i < 1000; ++i) held.push_back(limits.take({}, "u", "1.2.3.4"));
  EXPECT_EQ(limits.streams(), 1000U);
}

TEST(StreamLimits, RefuseAStreamAboveABoundUntilAnotherEnds) {
  StreamLimits limits;
  const StreamLimits::Bounds bounds{.streams = 3, .per_user = 2, .per_address = 2};
  auto first = limits.take(bounds, "u", "a");
  auto second = limits.take(bounds, "u", "b");
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(limits.take(bounds, "u", "c"));
  auto third = limits.take(bounds, "v", "a");
  EXPECT_TRUE(third);
  EXPECT_FALSE(limits.take(bounds, "w", "d"));
  first.reset();
  EXPECT_TRUE(limits.take(bounds, "u", "d"));
  EXPECT_EQ(limits.streams(), 2U);
}

TEST(StreamLimits, DoNotCountAnEmptyUserOrAddress) {
  StreamLimits limits;
  const StreamLimits::Bounds bounds{.streams = 0, .per_user = 1, .per_address = 1};
  const auto first = limits.take(bounds, "", "");
  const auto second = limits.take(bounds, "", "");
  EXPECT_TRUE(first && second);
}

}  // namespace
}  // namespace tailgate
