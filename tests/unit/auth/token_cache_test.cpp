#include "gateway/auth/token_cache.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr WallTime kNow{seconds(1'700'000'000)};

Digest key(int number) {
  return sha256(std::to_string(number));
}
TokenCheck accepted(std::optional<WallTime> until = {}) {
  return {.outcome = TokenOutcome::kAccepted, .user = "ann", .provider = "clerk", .until = until};
}
TokenCheck refused() {
  return {.outcome = TokenOutcome::kRefused, .refusal = Refusal::kSignature};
}

TEST(TokenCache, FindsACheckByItsKeyOnly) {
  TokenCache cache(100, minutes(5));
  cache.insert(key(1), accepted(), kNow);
  ASSERT_NE(cache.find(key(1), kNow), nullptr);
  EXPECT_EQ(cache.find(key(1), kNow)->user, "ann");
  EXPECT_EQ(cache.find(key(2), kNow), nullptr);
}

TEST(TokenCache, ForgetsATokenWhenItExpires) {
  TokenCache cache(100, minutes(5));
  cache.insert(key(1), accepted(kNow + seconds(60)), kNow);
  EXPECT_NE(cache.find(key(1), kNow + seconds(60) - milliseconds(1)), nullptr);
  EXPECT_EQ(cache.find(key(1), kNow + seconds(60)), nullptr);
  EXPECT_EQ(cache.size(), 0U);
}

TEST(TokenCache, ForgetsAnEntryAfterTheCachesLife) {
  TokenCache cache(10, minutes(5));
  cache.insert(key(1), accepted(kNow + minutes(60)), kNow);
  cache.insert(key(2), refused(), kNow);
  for (const int number : {1, 2}) {
    EXPECT_NE(cache.find(key(number), kNow + minutes(5) - milliseconds(1)), nullptr);
    EXPECT_EQ(cache.find(key(number), kNow + minutes(5)), nullptr);
  }
}

TEST(TokenCache, HoldsAtMostItsBound) {
  TokenCache cache(100, minutes(5));
  for (int i = 0; i < 10'000; ++i) cache.insert(key(i), i % 2 == 0 ? accepted() : refused(), kNow);
  EXPECT_LE(cache.size(), 100U);
  EXPECT_NE(cache.find(key(9999), kNow), nullptr);
}

TEST(TokenCache, KeepsAUsedTokenLongerThanUnusedOnes) {
  TokenCache cache(100, minutes(5));
  cache.insert(key(-1), accepted(), kNow);
  for (int i = 0; i < 1000; ++i) {
    cache.insert(key(i), accepted(), kNow);
    EXPECT_NE(cache.find(key(-1), kNow), nullptr) << i;
  }
}

TEST(TokenCache, WorksWithTheSmallestBound) {
  TokenCache cache(0, minutes(5));
  for (int i = 0; i < 10; ++i) {
    cache.insert(key(i), accepted(), kNow);
    EXPECT_NE(cache.find(key(i), kNow), nullptr);
  }
  EXPECT_LE(cache.size(), 2U);
}

TEST(TokenCache, IsEmptyOnceCleared) {
  TokenCache cache(10, minutes(5));
  for (int i = 0; i < 10; ++i) cache.insert(key(i), accepted(), kNow);
  cache.clear();
  EXPECT_EQ(cache.size(), 0U);
}

}  // namespace
}  // namespace tailgate
