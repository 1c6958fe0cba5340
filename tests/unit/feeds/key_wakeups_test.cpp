#include "gateway/feeds/key_wakeups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/feeds/key_wakeups_fixture.h"

namespace tailgate {
namespace {

using namespace std::chrono_literals;
using testing::NamedKey;

using KeyWakeupsTest = testing::KeyWakeupsTest;

// ---- reading ----------------------------------------------------------------------------------------

TEST_F(KeyWakeupsTest, ReadsAKeyAtTheEndOfTheTurn) {
  begin();
  NamedKey& key = keys_.emplace_back("a");
  wakeups_->watch(key, now_);
  end_turn();
  EXPECT_EQ(reads_, Names{}) << "a new key counts as read";
  wakeups_->read_soon(key);
  EXPECT_EQ(reads_, Names{});
  end_turn();
  EXPECT_EQ(reads_, Names{"a"});
}

TEST_F(KeyWakeupsTest, ReadsAKeyOnceForAllAnnouncementsOfOneTurn) {
  begin();
  NamedKey& key = watch("a");
  reads_.clear();
  wakeups_->on_notified(key, "xadd", now_);
  wakeups_->on_notified(key, "expire", now_);
  wakeups_->on_invalidated(key, now_);
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
  wakeups_->on_notified(key, "xadd", now_);
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
  end_read(key, ReadResult::kWritten, /*more=*/true);
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

TEST_F(KeyWakeupsTest, ReadsAKeyOnceAlthoughItWasDueWhenTheReadingLinkWasLost) {
  begin();
  NamedKey& a = watch("a");
  wakeups_->read_soon(a);
  links_.reading = false;
  reads_.clear();
  end_turn();
  EXPECT_EQ(reads_, Names{});
  links_.reading = true;
  wakeups_->on_reading_link_up(now_);
  end_turn();
  EXPECT_EQ(reads_, Names{"a"});
}

TEST_F(KeyWakeupsTest, BeginsAtMost64ReadsInOneTurn) {
  begin();
  for (int i = 0; i < 130; ++i) watch(std::to_string(i));
  answers_ = false;
  reads_.clear();
  wakeups_->on_reading_link_up(now_);
  wakeups_->start_reads(now_);
  EXPECT_EQ(reads_.size(), 64U);
  for (const std::size_t reads : {128U, 130U}) {
    ASSERT_TRUE(std::exchange(next_turn_asked_, false)) << "asked for no further turn";
    wakeups_->start_reads(now_);
    EXPECT_EQ(reads_.size(), reads);
  }
  EXPECT_FALSE(next_turn_asked_);
}

TEST_F(KeyWakeupsTest, ForgetsAKeyThatIsUnwatchedBetweenTwoTurns) {
  begin();
  std::vector<NamedKey*> keys;
  for (int i = 0; i < 66; ++i) keys.push_back(&watch(std::to_string(i)));
  answers_ = false;
  reads_.clear();
  wakeups_->on_reading_link_up(now_);
  wakeups_->start_reads(now_);
  wakeups_->unwatch(*keys[64]);
  wakeups_->start_reads(now_);
  EXPECT_EQ(reads_.size(), 65U);
  EXPECT_EQ(reads_.back(), "65");
}

// ---- the sweep that reads ---------------------------------------------------------------------------

TEST_F(KeyWakeupsTest, ReadsEachKeyOnceInTheIntervalOfTheRules) {
  begin(record_rules());
  for (int i = 0; i < 100; ++i) watch(std::to_string(i));
  pass(2s);
  for (int second = 0; second < 3; ++second) {
    Names reads = reads_of(1000ms);
    std::sort(reads.begin(), reads.end());
    EXPECT_NEAR(static_cast<double>(reads.size()), 100, 1);
    EXPECT_GE(std::unique(reads.begin(), reads.end()) - reads.begin(), 99) << "a key was read twice";
  }
  confirm_tracking();
  pass(20s);
  Names reads = reads_of(10000ms);
  std::sort(reads.begin(), reads.end());
  EXPECT_NEAR(static_cast<double>(reads.size()), 100, 1) << "while tracking is trusted";
  EXPECT_GE(std::unique(reads.begin(), reads.end()) - reads.begin(), 99);
}

TEST_F(KeyWakeupsTest, ReadsEachKeyWithinElevenTenthsOfASecondIfTheSweepAloneFindsChanges) {
  for (const int count : {1, 3, 1000}) {
    keys_.clear();
    sweep_at_.reset();
    begin(record_rules());
    for (int i = 0; i < count; ++i) watch(std::to_string(i));
    wakeups_->on_reading_link_up(now_);  // reads all keys at the same moment
    end_turn();
    for (int round = 0; round < 5; ++round) {
      Names reads = reads_of(1101ms);
      std::ranges::sort(reads);
      reads.erase(std::unique(reads.begin(), reads.end()), reads.end());
      EXPECT_EQ(reads.size(), static_cast<std::size_t>(count)) << "a key was not read in 1.1 s";
    }
    for (NamedKey& key : keys_) wakeups_->unwatch(key);
  }
}

TEST_F(KeyWakeupsTest, SpreadsTheReadsOfTheSweepEvenly) {
  begin(record_rules());
  for (int i = 0; i < 1000; ++i) watch(std::to_string(i));
  wakeups_->on_reading_link_up(now_);  // reads all keys at the same moment
  end_turn();
  pass(500ms);
  pass(next_sweep());
  EXPECT_EQ(next_sweep(), 64ms);
  for (int i = 0; i < 20; ++i) EXPECT_NEAR(static_cast<double>(reads_of(64ms).size()), 64, 1) << i;
}

TEST_F(KeyWakeupsTest, SweepsNoKeyThatWasReadLessThanHalfTheIntervalAgo) {
  begin(record_rules());
  NamedKey& busy = watch("busy");
  watch("idle");
  confirm_tracking();
  pass(4500ms);
  for (int i = 0; i < 20; ++i) {
    wakeups_->read_soon(busy);
    end_turn();
    EXPECT_EQ(std::ranges::count(reads_of(4000ms), "busy"), 0) << i;
  }
}

TEST_F(KeyWakeupsTest, ReadsAKeyThatWasAnnouncedLaterThanOthers) {
  begin(record_rules());
  NamedKey& a = watch("a");
  watch("b");
  pass(600ms);
  wakeups_->read_soon(a);
  end_turn();
  EXPECT_EQ(reads_of(400ms), Names{"b"}) << "the key that was read longest ago";
}

TEST_F(KeyWakeupsTest, SweepsAtLeastEvery2MillisecondsAndAtMostEvery100) {
  begin(record_rules());
  NamedKey& only = watch("only");
  EXPECT_EQ(next_sweep(), 100ms);
  for (int i = 0; i < 40'000; ++i) wakeups_->watch(keys_.emplace_back(std::to_string(i)), now_);
  pass(100ms);
  EXPECT_EQ(next_sweep(), 2ms);
  confirm_tracking();
  EXPECT_EQ(next_sweep(), 15ms) << "64 of 40,001 keys, each in 10 s";
  wakeups_->unwatch(only);
}

TEST_F(KeyWakeupsTest, SweepsEvery500MillisecondsWithFewKeysWhileAnAnnouncerIsTrusted) {
  begin(record_rules());
  watch("a");
  confirm_tracking();
  EXPECT_EQ(next_sweep(), 500ms);
  EXPECT_EQ(checks_of(60s), 0U) << "these rules want no checks";
}
TEST_F(KeyWakeupsTest, ReadsEachKeyOnlyOnceAfterTheProcessStoodStill) {
  begin(record_rules(Mode::kSweep));
  for (int i = 0; i < 10; ++i) watch(std::to_string(i));
  pass(2s);
  sweep_at_ = now_ + 60s;
  EXPECT_EQ(reads_of(60s).size(), 10U);
  EXPECT_NEAR(static_cast<double>(reads_of(1s).size()), 10, 1);
}

// ---- Rules::burst -----------------------------------------------------------------------------------

TEST_F(KeyWakeupsTest, ReadsABurstOfAnnouncedChangesAtOnceAndThenOneASecond) {
  begin(record_rules());
  NamedKey& key = watch("a");
  confirm_tracking();
  const auto announce = [&] {
    reads_.clear();
    wakeups_->on_invalidated(key, now_);
    end_turn();
    return reads_.size();
  };
  for (int i = 0; i < 5; ++i) EXPECT_EQ(announce(), 1U) << i;
  EXPECT_EQ(announce(), 0U);
  EXPECT_EQ(announce(), 0U) << "while the key is delayed";
  EXPECT_EQ(reads_of(999ms).size(), 0U);
  EXPECT_EQ(reads_of(101ms), Names{"a"}) << "at the next sweep";
  EXPECT_EQ(announce(), 0U) << "only one read a second";
  pass(1500ms);
  pass(4s);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(announce(), 1U) << i;
}

TEST_F(KeyWakeupsTest, ReadsADelayedKeyAsSoonAsItIsPermitted) {
  begin(record_rules());
  NamedKey& key = watch("a");
  for (int i = 0; i < 6; ++i) {
    wakeups_->on_invalidated(key, now_);
    end_turn();
  }
  const auto permitted = now_ + 1s;
  reads_.clear();
  now_ = permitted - 1us;
  wakeups_->sweep(now_);
  end_turn();
  EXPECT_EQ(reads_, Names{});
  now_ = permitted;
  wakeups_->sweep(now_);
  end_turn();
  EXPECT_EQ(reads_, Names{"a"});
}

TEST_F(KeyWakeupsTest, DelaysAChangeThatIsAnnouncedDuringARead) {
  begin(record_rules());
  NamedKey& key = watch("a");
  answers_ = false;
  for (int i = 0; i < 5; ++i) {
    wakeups_->on_invalidated(key, now_);
    end_turn();
    if (i < 4) end_read(key, ReadResult::kWritten);
  }
  wakeups_->on_invalidated(key, now_);
  end_read(key, ReadResult::kWritten);
  reads_.clear();
  end_turn();
  EXPECT_EQ(reads_, Names{});
  EXPECT_EQ(reads_of(1100ms), Names{"a"});
}

TEST_F(KeyWakeupsTest, ReadsADelayedKeyAtOnceOnRequest) {
  begin(record_rules());
  NamedKey& key = watch("a");
  for (int i = 0; i < 6; ++i) {
    wakeups_->on_invalidated(key, now_);
    end_turn();
  }
  reads_.clear();
  wakeups_->read_soon(key);
  end_turn();
  EXPECT_EQ(reads_, Names{"a"});
  EXPECT_EQ(reads_of(450ms), Names{}) << "read a second time";
}

TEST_F(KeyWakeupsTest, ForgetsADelayedKeyThatIsUnwatched) {
  begin(record_rules());
  NamedKey& key = watch("a");
  watch("b");
  for (int i = 0; i < 6; ++i) {
    wakeups_->on_invalidated(key, now_);
    end_turn();
  }
  wakeups_->unwatch(key);
  const Names reads = reads_of(5s);
  EXPECT_EQ(std::ranges::count(reads, "a"), 0);
}

TEST_F(KeyWakeupsTest, DelaysNothingWithoutABurst) {
  begin();
  NamedKey& key = watch("a");
  reads_.clear();
  for (int i = 0; i < 20; ++i) {
    wakeups_->on_notified(key, "xadd", now_);
    end_turn();
  }
  EXPECT_EQ(reads_.size(), 20U);
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
