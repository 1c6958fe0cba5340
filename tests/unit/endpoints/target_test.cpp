#include "gateway/endpoints/target.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

TEST(Target, SplitsAtTheFirstQuestionMark) {
  EXPECT_EQ(split_target("/a?b=c?d").path, "/a");
  EXPECT_EQ(split_target("/a?b=c?d").query, "b=c?d");
  EXPECT_EQ(split_target("/a").path, "/a");
  EXPECT_EQ(split_target("/a").query, "");
}

}  // namespace
}  // namespace tailgate
