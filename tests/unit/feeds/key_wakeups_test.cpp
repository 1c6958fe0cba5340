#include "gateway/feeds/key_wakeups.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/feeds/key_wakeups_fixture.h"

namespace tailgate {
namespace {

using namespace std::chrono_literals;
using testing::NamedKey;

using KeyWakeupsTest = testing::KeyWakeupsTest;

// ---- reading ----------------------------------------------------------------------------------------

TEST_F(KeyWakeupsTest, ReadsANewlyWatchedKeyAtTheEndOfTheTurn) {
  begin();
  NamedKey& key = keys_.emplace_back("a");
  wakeups_->watch(key, now_);
  EXPECT_EQ(reads_, Names{});
  end_turn();
  EXPECT_EQ(reads_, Names{"a"});
}

TEST_F(KeyWakeupsTest, ReadsAKeyOnceForAllAnnouncementsOfOneTurn) {
  begin();
  NamedKey& key = watch("a");
  reads_.clear();
  wakeups_->on_notified(key, "xadd");
  wakeups_->on_notified(key, "expire");
  wakeups_->on_invalidated(key);
  wakeups_->read_soon(key);
  end_turn();
  EXPECT_EQ(reads_, Names{"a"});
}

TEST_F(KeyWakeupsTest, ReadsAKeyAgainIfItMayHaveChangedDuringTheRead) {
  begin();
  NamedKey& key = watch("a");
  reads_.clear();
  answers_ = false;
  wakeups_->read_soon(key);
  end_turn();
  wakeups_->on_notified(key, "xadd");
  wakeups_->read_soon(key);
  end_turn();
  EXPECT_EQ(reads_, Names{"a"}) << "a second read was sent before the first was answered";
  end_read(key, ReadResult::kFailed);
  end_turn();
  EXPECT_EQ(reads_, (Names{"a", "a"}));
  end_read(key, ReadResult::kUnchanged);
  end_turn();
  EXPECT_EQ(reads_.size(), 2U);
}

TEST_F(KeyWakeupsTest, ReadsOnWhileThereIsMoreToRead) {
  begin();
  NamedKey& key = watch("a");
  grow_after(key, [&] { wakeups_->read_soon(key); });
  reads_.clear();
  answers_ = false;
  wakeups_->read_soon(key);
  end_turn();
  end_read(key, ReadResult::kGrew, /*more=*/true);
  end_turn();
  EXPECT_EQ(reads_, (Names{"a", "a"}));
}

TEST_F(KeyWakeupsTest, ForgetsAnUnwatchedKey) {
  begin();
  NamedKey& a = watch("a");
  NamedKey& b = watch("b");
  NamedKey& c = watch("c");
  reads_.clear();
  for (NamedKey* key : {&a, &b, &c}) wakeups_->read_soon(*key);
  wakeups_->unwatch(a);
  end_turn();
  EXPECT_EQ(reads_, (Names{"b", "c"}));
  wakeups_->unwatch(b);
  wakeups_->on_reading_link_up(now_);
  end_turn();
  EXPECT_EQ(reads_, (Names{"b", "c", "c"}));
  watch("d");
  wakeups_->unwatch(c);  // unwatch(b) has moved it within the list
  reads_.clear();
  wakeups_->on_reading_link_up(now_);
  end_turn();
  EXPECT_EQ(reads_, Names{"d"});
}

TEST_F(KeyWakeupsTest, ReadsNothingWhileTheReadingLinkIsDownAndAllKeysOnceItIsUp) {
  begin();
  NamedKey& a = watch("a");
  watch("b");
  links_.reading = false;
  wakeups_->read_soon(a);
  EXPECT_EQ(reads_of(5s), (Names{})) << "read without a link";
  EXPECT_EQ(checks_of(5s), 0U) << "checked without a link";
  links_.reading = true;
  wakeups_->on_reading_link_up(now_);
  reads_.clear();
  end_turn();
  EXPECT_EQ(reads_, (Names{"a", "b"}));
}

TEST_F(KeyWakeupsTest, ReturnsTheAnnouncerOfAChange) {
  begin();
  NamedKey& key = watch("a");
  answers_ = false;
  const auto announcer_of = [&](auto announce) {
    announce();
    end_turn();
    return end_read(key, ReadResult::kUnchanged);
  };
  EXPECT_EQ(announcer_of([&] { wakeups_->read_soon(key); }), Announcer::kNobody);
  EXPECT_EQ(announcer_of([&] { wakeups_->on_notified(key, "expire"); }), Announcer::kNobody);
  EXPECT_EQ(announcer_of([&] { wakeups_->on_invalidated(key); }), Announcer::kTracking);
  EXPECT_EQ(announcer_of([&] {
              wakeups_->on_notified(key, "xadd");
              wakeups_->on_invalidated(key);
            }),
            Announcer::kNotifications);
  EXPECT_EQ(announcer_of([&] { wakeups_->read_soon(key); }), Announcer::kNobody)
      << "the announcement was returned twice";
}

TEST_F(KeyWakeupsTest, RecordsWhenAReadBegan) {
  begin();
  NamedKey& key = watch("a");
  pass(5ms);
  const KeyWakeups::Time then = now_;
  wakeups_->read_soon(key);
  end_turn();
  pass(5ms);
  EXPECT_EQ(key.read_began(), then);
}

// ---- the fast sweep, while no announcer is trusted --------------------------------------------------

TEST_F(KeyWakeupsTest, DoesNotDelayTheSweepWhenMoreKeysAreWatched) {
  begin();
  watch("a");
  pass(10ms);
  watch("b");
  EXPECT_EQ(next_sweep(), 11ms) << "10 ms have passed";
  pass(50ms);
  watch("c");
  EXPECT_LT(next_sweep(), 21ms);
}

TEST_F(KeyWakeupsTest, ChecksKeysEvery21MillisecondsWhileNoAnnouncerIsTrusted) {
  begin();
  watch("a");
  watch("b");
  EXPECT_EQ(next_sweep(), 21ms);
  EXPECT_EQ(checks_of(210ms), 10U);
  EXPECT_EQ(checked_.front(), (Names{"a", "b"}));
}

TEST_F(KeyWakeupsTest, ChecksASilentKeyLessOftenButAtLeastEvery200Milliseconds) {
  begin();
  NamedKey& key = watch("a");
  pass(2s);
  const std::size_t after_two_seconds = checks_of(1s);
  EXPECT_GE(after_two_seconds, 7U) << "at intervals of 100 to 150 ms";
  EXPECT_LE(after_two_seconds, 10U);
  pass(60s);
  const std::size_t after_a_minute = checks_of(10s);
  EXPECT_GE(after_a_minute, 45U);
  EXPECT_LE(after_a_minute, 53U);
  grow_after(key, [&] { wakeups_->read_soon(key); });
  EXPECT_EQ(checks_of(210ms), 10U) << "after growth";
}

TEST_F(KeyWakeupsTest, ChecksAHundredKeysInOneCommand) {
  begin();
  for (int i = 0; i < 250; ++i) watch(std::to_string(i));
  pass(21ms);
  ASSERT_EQ(checked_.size(), 3U);
  EXPECT_EQ(checked_[0].size(), 100U);
  EXPECT_EQ(checked_[1].size(), 100U);
  EXPECT_EQ(checked_[2].size(), 50U);
}

TEST_F(KeyWakeupsTest, SweepsLessOftenWithMoreThanAThousandKeysToCheck) {
  begin();
  for (int i = 0; i < 1000; ++i) watch(std::to_string(i));
  pass(21ms);
  EXPECT_EQ(next_sweep(), 21ms);
  for (int i = 0; i < 1000; ++i) watch(std::to_string(1000 + i));
  pass(21ms);
  EXPECT_EQ(next_sweep(), 42ms);
}

TEST_F(KeyWakeupsTest, ChecksAKeyAloneAfterAnErrorOfACommonCheck) {
  begin();
  NamedKey& bad = watch("bad");
  watch("a");
  watch("b");
  pass(21ms);
  wakeups_->check_alone(bad);
  checked_.clear();
  pass(21ms);
  EXPECT_EQ(checked_, (std::vector<Names>{{"bad"}, {"a", "b"}}));
}

TEST_F(KeyWakeupsTest, ChecksALogTogetherWithOthersAgainAfterItsLoneCheckSucceeded) {
  begin();
  NamedKey& good = watch("good");
  watch("a");
  watch("b");
  pass(21ms);
  wakeups_->check_alone(good);
  pass(21ms);
  wakeups_->check_together(good);
  checked_.clear();
  pass(21ms);
  EXPECT_EQ(checked_, (std::vector<Names>{{"good", "a", "b"}}));
}

TEST_F(KeyWakeupsTest, ChecksNothingWhileAnEarlierCheckIsUnanswered) {
  begin();
  watch("a");
  answers_ = false;
  pass(21ms);
  EXPECT_EQ(checks_of(1s), 0U);
  wakeups_->on_check_ended();
  EXPECT_EQ(checks_of(21ms), 1U);
}

TEST_F(KeyWakeupsTest, ChecksNoKeyThatIsBeingReadOrDue) {
  begin();
  NamedKey& a = watch("a");
  NamedKey& b = watch("b");
  watch("c");
  answers_ = false;
  wakeups_->read_soon(a);
  end_turn();
  wakeups_->read_soon(b);
  now_ += 21ms;
  wakeups_->sweep(now_);
  EXPECT_EQ(checked_, (std::vector<Names>{{"c"}}));
}

}  // namespace
}  // namespace tailgate
