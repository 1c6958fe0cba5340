#include "gateway/routes/limits.h"

#include <gtest/gtest.h>

#include <optional>

namespace tailgate {
namespace {

std::optional<StreamLimits::Ticket> take(StreamLimits& limits, const StreamLimits::Bounds& bounds,
                                         std::string_view user, std::string_view address) {
  bool taken = false;
  auto ticket = limits.take(bounds, user, address, taken);
  if (!taken) return std::nullopt;
  return ticket;
}

TEST(StreamLimits, AreUnboundedByDefault) {
  StreamLimits limits;
  std::vector<StreamLimits::Ticket> held;
  for (int i = 0; i < 1000; ++i) held.push_back(*take(limits, {}, "u", "1.2.3.4"));
  EXPECT_EQ(limits.streams(), 1000U);
}

TEST(StreamLimits, RefuseAStreamAboveABoundUntilAnotherEnds) {
  StreamLimits limits;
  const StreamLimits::Bounds bounds{.streams = 3, .per_user = 2, .per_address = 2};
  auto first = take(limits, bounds, "u", "a");
  auto second = take(limits, bounds, "u", "b");
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(take(limits, bounds, "u", "c"));
  auto third = take(limits, bounds, "v", "a");
  EXPECT_TRUE(third);
  EXPECT_FALSE(take(limits, bounds, "w", "d"));
  first.reset();
  EXPECT_TRUE(take(limits, bounds, "u", "d"));
  EXPECT_EQ(limits.streams(), 2U);
}

TEST(StreamLimits, DoNotCountAnEmptyUserOrAddress) {
  StreamLimits limits;
  const StreamLimits::Bounds bounds{.streams = 0, .per_user = 1, .per_address = 1};
  const auto first = take(limits, bounds, "", "");
  const auto second = take(limits, bounds, "", "");
  EXPECT_TRUE(first && second);
}

TEST(ClientAddress, IsTheRightmostHopThatIsNotATrustedProxy) {
  const std::vector<std::string> trusted = {"10.0.0.0/8", "::1", "192.168.1.7"};
  EXPECT_EQ(client_address("203.0.113.9", trusted), "203.0.113.9");
  EXPECT_EQ(client_address("1.1.1.1, 203.0.113.9, 10.2.3.4, 192.168.1.7", trusted), "203.0.113.9");
  EXPECT_EQ(client_address("203.0.113.9, ::1", trusted), "203.0.113.9");
  EXPECT_EQ(client_address("10.1.1.1", trusted), "10.1.1.1");
  EXPECT_EQ(client_address("9.9.9.9, 10.1.1.1", {}), "10.1.1.1");
}

TEST(ClientAddress, IsNotReadPastAHopThatIsNotAnAddress) {
  EXPECT_EQ(client_address("203.0.113.9, junk, 10.2.3.4", {"10.0.0.0/8"}), "10.2.3.4");
  EXPECT_EQ(client_address("", {"10.0.0.0/8"}), "");
  EXPECT_EQ(client_address(std::string_view("203.0.113.9\0.evil", 17), {}), "");
}

}  // namespace
}  // namespace tailgate
