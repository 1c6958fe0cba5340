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
CachedToken good(std::optional<WallTime> until = {}) {
  return {.refusal = {}, .user = "ann", .provider = "clerk", .until = until};
}
CachedToken bad() {
  return {.refusal = Refusal::kSignature, .user = {}, .provider = {}, .until = {}};
}

TEST(TokenCache, AreFoundByTheirKeyOnly) {
  TokenCache verdicts;
  verdicts.keep(key(1), good(), kNow);
  ASSERT_NE(verdicts.find(key(1), kNow), nullptr);
  EXPECT_EQ(verdicts.find(key(1), kNow)->user, "ann");
  EXPECT_EQ(verdicts.find(key(2), kNow), nullptr);
}

TEST(TokenCache, AreNeverKeptPastTheTokensEnd) {
  TokenCache verdicts;
  verdicts.keep(key(1), good(kNow + seconds(60)), kNow);
  EXPECT_NE(verdicts.find(key(1), kNow + seconds(60) - milliseconds(1)), nullptr);
  EXPECT_EQ(verdicts.find(key(1), kNow + seconds(60)), nullptr);
  EXPECT_EQ(verdicts.size(), 0U);
}

TEST(TokenCache, AreKeptNoLongerThanTheirLife) {
  TokenCache verdicts({.good = 10, .bad = 10, .good_life = minutes(5), .bad_life = seconds(10)});
  verdicts.keep(key(1), good(kNow + minutes(60)), kNow);
  verdicts.keep(key(2), bad(), kNow);
  EXPECT_NE(verdicts.find(key(1), kNow + minutes(5) - milliseconds(1)), nullptr);
  EXPECT_EQ(verdicts.find(key(1), kNow + minutes(5)), nullptr);
  EXPECT_NE(verdicts.find(key(2), kNow + seconds(9)), nullptr);
  EXPECT_EQ(verdicts.find(key(2), kNow + seconds(10)), nullptr);
}

TEST(TokenCache, AreBoundedInNumber) {
  TokenCache verdicts({.good = 100, .bad = 20});
  for (int i = 0; i < 10'000; ++i) verdicts.keep(key(i), i % 2 == 0 ? good() : bad(), kNow);
  EXPECT_LE(verdicts.size(), 120U);
  EXPECT_NE(verdicts.find(key(9998), kNow), nullptr);
}

TEST(TokenCache, ThatAreUsedOutliveThoseThatAreNot) {
  TokenCache verdicts({.good = 100, .bad = 20});
  verdicts.keep(key(-1), good(), kNow);
  for (int i = 0; i < 1000; ++i) {
    verdicts.keep(key(i), good(), kNow);
    EXPECT_NE(verdicts.find(key(-1), kNow), nullptr) << i;
  }
}

TEST(TokenCache, ThatAreBadDriveOutNoneThatIsGood) {
  TokenCache verdicts({.good = 100, .bad = 20});
  verdicts.keep(key(-1), good(), kNow);
  for (int i = 0; i < 1000; ++i) verdicts.keep(key(i), bad(), kNow);
  EXPECT_NE(verdicts.find(key(-1), kNow), nullptr);
}

TEST(TokenCache, WorkWithTheSmallestBounds) {
  TokenCache verdicts({.good = 0, .bad = 0});
  for (int i = 0; i < 10; ++i) {
    verdicts.keep(key(i), good(), kNow);
    EXPECT_NE(verdicts.find(key(i), kNow), nullptr);
  }
  EXPECT_LE(verdicts.size(), 2U);
}

}  // namespace
}  // namespace tailgate
