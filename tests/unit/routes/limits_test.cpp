#include "gateway/routes/limits.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tailgate {
namespace {

std::vector<AddressBlock> blocks(const std::vector<std::string>& texts) {
  std::vector<AddressBlock> blocks;
  for (const std::string& text : texts) blocks.push_back(*AddressBlock::parse(text));
  return blocks;
}

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

TEST(ClientAddress, IsTheRightmostHopThatIsNotATrustedProxy) {
  const auto trusted = blocks({"10.0.0.0/8", "::1", "192.168.1.7"});
  EXPECT_EQ(client_address("203.0.113.9", trusted), "203.0.113.9");
  EXPECT_EQ(client_address("1.1.1.1, 203.0.113.9, 10.2.3.4, 192.168.1.7", trusted), "203.0.113.9");
  EXPECT_EQ(client_address("203.0.113.9, ::1", trusted), "203.0.113.9");
  EXPECT_EQ(client_address("10.1.1.1", trusted), "10.1.1.1");
  EXPECT_EQ(client_address("9.9.9.9, 10.1.1.1", {}), "10.1.1.1");
}

TEST(ClientAddress, IsNotReadPastAHopThatIsNotAnAddress) {
  EXPECT_EQ(client_address("203.0.113.9, junk, 10.2.3.4", blocks({"10.0.0.0/8"})), "10.2.3.4");
  EXPECT_EQ(client_address("", blocks({"10.0.0.0/8"})), "");
  EXPECT_EQ(client_address(std::string_view("203.0.113.9\0.evil", 17), {}), "");
}

}  // namespace
}  // namespace tailgate
