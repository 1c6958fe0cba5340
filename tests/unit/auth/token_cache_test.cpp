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
  TokenCache cache;
  cache.insert(key(1), accepted(), kNow);
  ASSERT_NE(cache.find(key(1), kNow), nullptr);
  EXPECT_EQ(cache.find(key(1), kNow)->user, "ann");
  EXPECT_EQ(cache.find(key(2), kNow), nullptr);
}

TEST(TokenCache, ForgetsATokenWhenItExpires) {
  TokenCache cache;
  cache.insert(key(1), accepted(kNow + seconds(60)), kNow);
  EXPECT_NE(cache.find(key(1), kNow + seconds(60) - milliseconds(1)), nullptr);
  EXPECT_EQ(cache.find(key(1), kNow + seconds(60)), nullptr);
  EXPECT_EQ(cache.size(), 0U);
}

TEST(TokenCache, KeepsEachKindForItsLife) {
  TokenCache cache({.accepted = 10, .refused = 10, .accepted_life = minutes(5), .refused_life = seconds(10)});
  cache.insert(key(1), accepted(kNow + minutes(60)), kNow);
  cache.insert(key(2), refused(), kNow);
  EXPECT_NE(cache.find(key(1), kNow + minutes(5) - milliseconds(1)), nullptr);
  EXPECT_EQ(cache.find(key(1), kNow + minutes(5)), nullptr);
  EXPECT_NE(cache.find(key(2), kNow + seconds(9)), nullptr);
  EXPECT_EQ(cache.find(key(2), kNow + seconds(10)), nullptr);
}

TEST(TokenCache, IsBoundedInNumber) {
  TokenCache cache({.accepted = 100, .refused = 20});
  for (int i = 0; i < 10'000; ++i) cache.insert(key(i), i % 2 == 0 ? accepted() : refused(), kNow);
  EXPECT_LE(cache.size(), 120U);
  EXPECT_NE(cache.find(key(9998), kNow), nullptr);
}

TEST(TokenCache, KeepsATokenThatIsUsedOverOthersThatAreNot) {
  TokenCache cache({.accepted = 100, .refused = 20});
  cache.insert(key(-1), accepted(), kNow);
  for (int i = 0; i < 1000; ++i) {
    cache.insert(key(i), accepted(), kNow);
    EXPECT_NE(cache.find(key(-1), kNow), nullptr) << i;
  }
}

TEST(TokenCache, EvictsNoAcceptedTokenForRefusedOnes) {
  TokenCache cache({.accepted = 100, .refused = 20});
  cache.insert(key(-1), accepted(), kNow);
  for (int i = 0; i < 1000; ++i) cache.insert(key(i), refused(), kNow);
  EXPECT_NE(cache.find(key(-1), kNow), nullptr);
}

TEST(TokenCache, WorksWithTheSmallestBounds) {
  TokenCache cache({.accepted = 0, .refused = 0});
  for (int i = 0; i < 10; ++i) {
    cache.insert(key(i), accepted(), kNow);
    EXPECT_NE(cache.find(key(i), kNow), nullptr);
  }
  EXPECT_LE(cache.size(), 2U);
}

}  // namespace
}  // namespace tailgate
