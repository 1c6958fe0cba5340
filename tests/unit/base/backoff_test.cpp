#include "gateway/base/backoff.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

using std::chrono::milliseconds;

TEST(Backoff, DoublesUpToItsMaximumAndStartsAgainAfterSuccess) {
  Backoff backoff(milliseconds(100), milliseconds(350));
  for (const int wait : {100, 200, 350, 350}) EXPECT_EQ(backoff.on_failure(0), milliseconds(wait));
  backoff.on_success();
  EXPECT_EQ(backoff.on_failure(0), milliseconds(100));
}

TEST(Backoff, ShortensEachWaitByUpToHalf) {
  Backoff backoff(milliseconds(100), milliseconds(1000));
  EXPECT_EQ(backoff.on_failure(0.5), milliseconds(75));
  EXPECT_EQ(backoff.on_failure(1), milliseconds(100)) << "half of 200";
}

}  // namespace
}  // namespace tailgate
