#include "gateway/loop/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <string>

namespace tailgate {
namespace {

using std::chrono::milliseconds;

TEST(Random, DrawsFromAllOfTheUnitInterval) {
  double least = 1;
  double most = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double drawn = random_unit();
    ASSERT_GE(drawn, 0);
    ASSERT_LT(drawn, 1);
    least = std::min(least, drawn);
    most = std::max(most, drawn);
  }
  EXPECT_LT(least, 0.01);
  EXPECT_GT(most, 0.99);
}

TEST(Random, ShortensADurationByAtMostItsShare) {
  milliseconds least = milliseconds::max();
  milliseconds most{0};
  for (int i = 0; i < 10'000; ++i) {
    const milliseconds shorter = shortened(milliseconds(1000), 0.25);
    least = std::min(least, shorter);
    most = std::max(most, shorter);
  }
  EXPECT_GE(least, milliseconds(750));
  EXPECT_LT(least, milliseconds(760));
  EXPECT_LE(most, milliseconds(1000));
  EXPECT_GT(most, milliseconds(990));
  EXPECT_EQ(shortened(milliseconds(1000), 0), milliseconds(1000));
}

TEST(Random, NamesAreHexOfThatManyBytesAndDiffer) {
  std::set<std::string> names;
  for (int i = 0; i < 100; ++i) {
    const std::string name = random_hex(8);
    EXPECT_TRUE(std::regex_match(name, std::regex("[0-9a-f]{16}"))) << name;
    names.insert(name);
  }
  EXPECT_EQ(names.size(), 100U);
}

TEST(Random, UuidsAreOfVersion4) {
  const std::regex form("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  std::set<std::string> uuids;
  for (int i = 0; i < 100; ++i) {
    const std::string uuid = random_uuid();
    EXPECT_TRUE(std::regex_match(uuid, form)) << uuid;
    uuids.insert(uuid);
  }
  EXPECT_EQ(uuids.size(), 100U);
}

}  // namespace
}  // namespace tailgate
