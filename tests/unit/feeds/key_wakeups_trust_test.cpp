#include <gtest/gtest.h>

#include "gateway/feeds/key_wakeups.h"
#include "tests/unit/feeds/key_wakeups_fixture.h"

namespace tailgate {
namespace {

using namespace std::chrono_literals;
using testing::NamedKey;

// Which announcer KeyWakeups trusts, and when it stops trusting one.
using KeyWakeupsTrustTest = testing::KeyWakeupsTest;

// ---- notifications ----------------------------------------------------------------------------------

TEST_F(KeyWakeupsTrustTest, TrustsNotificationsAfterOneHasAnnouncedGrowth) {
  begin();
  NamedKey& key = watch("a");
  EXPECT_EQ(trusted(), Announcer::kNobody);
  grow_notified(key);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
  EXPECT_EQ(trusts_, Names{"a change was announced"});
  EXPECT_EQ(next_sweep(), 500ms);
}

TEST_F(KeyWakeupsTrustTest, DoesNotTrustANotificationWithoutGrowth) {
  begin();
  NamedKey& key = watch("a");
  for (const ReadResult result : {ReadResult::kUnchanged, ReadResult::kChanged, ReadResult::kFailed}) {
    answers_ = false;
    wakeups_->on_notified(key, "xadd", now_);
    end_turn();
    end_read(key, result);
    EXPECT_EQ(trusted(), Announcer::kNobody);
  }
}

TEST_F(KeyWakeupsTrustTest, DoesNotTrustNotificationsOfOtherCommands) {
  begin();
  NamedKey& key = watch("a");
  for (const char* command : {"expire", "del", "xtrim", "XADD", "xadd ", ""}) {
    grow_after(key, [&] { wakeups_->on_notified(key, command, now_); });
  }
  EXPECT_EQ(trusted(), Announcer::kNobody);
}

TEST_F(KeyWakeupsTrustTest, DoesNotTrustNotificationsWhileTheSubscriberLinkIsDown) {
  begin();
  NamedKey& key = watch("a");
  wakeups_->on_notified(key, "xadd", now_);
  links_.subscriber = false;
  grow_notified(key);
  EXPECT_EQ(trusted(), Announcer::kNobody);
}

TEST_F(KeyWakeupsTrustTest, TrustsNoAnnouncerOnceTheSweepFindsTheSubscriberLinkDown) {
  begin();
  grow_notified(watch("a"));
  links_.subscriber = false;
  pass(499ms);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
  pass(1ms);
  EXPECT_EQ(trusted(), Announcer::kNobody);
  EXPECT_EQ(trusts_.back(), "the subscriber link is down");
  EXPECT_EQ(next_sweep(), 21ms);
}

TEST_F(KeyWakeupsTrustTest, StopsTrustingNotificationsThatAreNoLongerPermitted) {
  begin();
  grow_notified(watch("a"));
  links_.may_hear_invalidations = false;
  pass(500ms);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
  links_.may_hear_notifications = false;
  pass(500ms);
  EXPECT_EQ(trusted(), Announcer::kNobody);
  EXPECT_EQ(trusts_.back(), "not permitted any more");
}

// ---- a missing announcement -------------------------------------------------------------------------

TEST_F(KeyWakeupsTrustTest, ReadsAKeyThatWasNotReadForTwoSecondsWhileAnAnnouncerIsTrusted) {
  begin();
  NamedKey& key = watch("a");
  watch("b");
  grow_notified(key);
  const KeyWakeups::Time read_b = now_;
  pass(1s);
  wakeups_->read_soon(key);
  end_turn();
  reads_.clear();
  pass(read_b + 1999ms - now_);
  EXPECT_EQ(reads_, Names{});
  pass(500ms);
  EXPECT_EQ(reads_, Names{"b"}) << "a was read a second ago";
  pass(1s);
  EXPECT_EQ(reads_, (Names{"b", "a"}));
  EXPECT_EQ(checks_of(10s), 0U) << "checked although an announcer is trusted";
}

TEST_F(KeyWakeupsTrustTest, TrustsNoAnnouncerAfterGrowthThatWasNotAnnounced) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  grow_unannounced(key);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
  pass(500ms);
  EXPECT_EQ(trusted(), Announcer::kNobody);
  EXPECT_EQ(trusts_.back(), "a change was not announced");
}

TEST_F(KeyWakeupsTrustTest, WaitsAQuarterOfASecondForALateAnnouncement) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  grow_unannounced(key);
  now_ += 250ms;
  wakeups_->sweep(now_);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
  now_ += 1ms;
  wakeups_->sweep(now_);
  EXPECT_EQ(trusted(), Announcer::kNobody);
}

TEST_F(KeyWakeupsTrustTest, KeepsItsTrustIfTheAnnouncementComesLate) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  grow_unannounced(key);
  pass(100ms);
  wakeups_->on_notified(key, "xadd", now_);
  end_turn();
  pass(10s);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTrustTest, KeepsItsTrustIfAnotherCommandIsAnnouncedLate) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  grow_unannounced(key);
  pass(100ms);
  wakeups_->on_notified(key, "expired", now_);
  end_turn();
  pass(10s);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTrustTest, KeepsItsTrustIfTheKeyWithTheMissingAnnouncementIsUnwatched) {
  begin();
  NamedKey& key = watch("a");
  NamedKey& other = watch("b");
  grow_notified(key);
  pass(1s);
  wakeups_->read_soon(other);
  end_turn();
  pass(500ms);
  grow_unannounced(key);
  wakeups_->unwatch(key);
  pass(10s);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTrustTest, CountsNothingAsMissingThatItReadsWhenTheLinkIsUpAgain) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  pass(1900ms);
  now_ += 200ms;
  wakeups_->sweep(now_);
  links_.reading = false;
  end_turn();  // the sweep's read does not begin
  links_.reading = true;
  answers_ = false;
  wakeups_->on_reading_link_up(now_);
  end_turn();
  end_read(key, ReadResult::kWritten);
  answers_ = true;
  pass(5s);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTrustTest, KeepsItsTrustIfTheSweepFindsAChangeWithoutGrowth) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  grow_unannounced(key, ReadResult::kChanged);
  pass(10s);
  EXPECT_EQ(trusted(), Announcer::kNotifications) << "XADD does not announce a deletion";
}

TEST_F(KeyWakeupsTrustTest, KeepsItsTrustIfAReadOutsideTheSweepFindsGrowth) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  grow_after(key, [&] { wakeups_->read_soon(key); });
  pass(10s);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTrustTest, KeepsItsTrustIfTheSlowSweepComesDuringARead) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  answers_ = false;
  wakeups_->read_soon(key);
  end_turn();
  reads_.clear();
  pass(10s);
  EXPECT_EQ(reads_, Names{});
  end_read(key, ReadResult::kWritten);
  answers_ = true;
  pass(1s);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTrustTest, KeepsItsTrustIfTheAnnouncementComesDuringTheReadOfTheSweep) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  pass(2s);
  answers_ = false;
  for (int i = 0; i < 5 && reading_.empty(); ++i) pass(500ms);
  ASSERT_EQ(reading_, std::vector<NamedKey*>{&key});
  wakeups_->on_notified(key, "xadd", now_);
  end_read(key, ReadResult::kWritten);
  answers_ = true;
  pass(1s);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTrustTest, MissesNoAnnouncementWhileItTrustsNobody) {
  begin(record_rules());
  NamedKey& key = watch("a");
  answers_ = false;
  for (int i = 0; i < 20 && reading_.empty(); ++i) pass(100ms);
  ASSERT_EQ(reading_, std::vector<NamedKey*>{&key});
  end_read(key, ReadResult::kWritten);
  answers_ = true;
  pass(500ms);
  confirm_tracking();
  EXPECT_EQ(trusted(), Announcer::kTracking);
}

TEST_F(KeyWakeupsTrustTest, TrustsNoNotificationForAMinuteAfterAMissingOne) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  grow_unannounced(key);
  pass(500ms);
  ASSERT_EQ(trusted(), Announcer::kNobody);
  pass(59s);
  grow_notified(key);
  EXPECT_EQ(trusted(), Announcer::kNobody);
  pass(1s);
  grow_notified(key);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTrustTest, TrustsNotificationsAtOnceAfterAMissingInvalidation) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_invalidated(key);
  ASSERT_EQ(trusted(), Announcer::kTracking);
  grow_unannounced(key);
  pass(500ms);
  ASSERT_EQ(trusted(), Announcer::kNobody);
  grow_notified(key);
  EXPECT_EQ(trusted(), Announcer::kNotifications) << "no notification was missing";
}

TEST_F(KeyWakeupsTrustTest, ForgetsAMissingAnnouncementWhenItTrustsAnotherAnnouncer) {
  begin();
  NamedKey& a = watch("a");
  confirm_tracking();
  grow_invalidated(a);
  grow_unannounced(a);
  grow_notified(watch("b"));
  ASSERT_EQ(trusted(), Announcer::kNotifications);
  pass(1s);
  EXPECT_EQ(trusted(), Announcer::kNotifications) << "the missing one was an invalidation";
}

// ---- redis.wakeups ----------------------------------------------------------------------------------

TEST_F(KeyWakeupsTrustTest, TrustsNotificationsFromTheBeginningInModeNotifications) {
  begin(Mode::kNotifications);
  NamedKey& key = watch("a");
  EXPECT_TRUE(wakeups_->hears_notifications());
  EXPECT_EQ(trusted(), Announcer::kNotifications);
  EXPECT_EQ(next_sweep(), 500ms);
  grow_unannounced(key);
  links_.subscriber = false;
  pass(5s);
  EXPECT_EQ(trusted(), Announcer::kNotifications) << "always trusted in this mode";
  wakeups_->on_invalidations_confirmed(now_);
  EXPECT_EQ(tracking_calls_, Names{});
  links_.may_hear_notifications = false;
  pass(500ms);
  EXPECT_EQ(trusted(), Announcer::kNobody) << "unless they are not permitted";
  links_.subscriber = links_.may_hear_notifications = true;
  pass(21ms);
  EXPECT_EQ(trusted(), Announcer::kNotifications) << "they are permitted again";
}

TEST_F(KeyWakeupsTrustTest, TrustsNotificationsOfRecordsInModeNotificationsOnceOneHasAnnouncedAChange) {
  begin(record_rules(Mode::kNotifications));
  NamedKey& key = watch("a");
  EXPECT_TRUE(wakeups_->hears_notifications());
  EXPECT_EQ(trusted(), Announcer::kNobody);
  confirm_tracking();
  EXPECT_EQ(tracking_calls_, Names{}) << "tracked in this mode";
  grow_after(key, [&] { wakeups_->on_notified(key, "hset", now_); });
  EXPECT_EQ(trusted(), Announcer::kNotifications);
  links_.subscriber = false;
  pass(500ms);
  EXPECT_EQ(trusted(), Announcer::kNobody);
}

TEST_F(KeyWakeupsTrustTest, TrustsNoAnnouncerInModeSweep) {
  begin(Mode::kSweep);
  NamedKey& key = watch("a");
  EXPECT_FALSE(wakeups_->hears_notifications());
  grow_notified(key);
  grow_invalidated(key);
  EXPECT_EQ(trusted(), Announcer::kNobody);
  EXPECT_EQ(checks_of(210ms), 10U);
  EXPECT_EQ(tracking_calls_, Names{});
}

TEST_F(KeyWakeupsTrustTest, WantsNotificationsInModeAuto) {
  begin();
  EXPECT_TRUE(wakeups_->hears_notifications());
}

}  // namespace
}  // namespace tailgate
