#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <string_view>

#include "gateway/feeds/key_wakeups.h"
#include "tests/unit/feeds/key_wakeups_fixture.h"

namespace tailgate {
namespace {

using namespace std::chrono_literals;
using testing::NamedKey;

// How KeyWakeups has Redis track the keys that it reads (CLIENT TRACKING).
class KeyWakeupsTrackingTest : public testing::KeyWakeupsTest {
 protected:
  // Lets periods of the tracking table pass, each with sixty invalidations of the unchanged `key`.
  void invalidate_uselessly(NamedKey& key, int periods) {
    for (; periods > 0; --periods) {
      for (int n = 0; n < 60; ++n) {
        wakeups_->on_invalidated(key, now_);
        end_turn();
      }
      pass(500ms);
    }
  }
};

TEST_F(KeyWakeupsTrackingTest, StartsTrackingOnlyAfterTheSubscriberLinkHasAnswered) {
  begin();
  NamedKey& key = watch("a");
  EXPECT_EQ(tracking_calls_, Names{"hear"});
  pass(5s);
  EXPECT_EQ(tracking_calls_, Names{"hear"}) << "subscribed twice";
  grow_invalidated(key);
  EXPECT_EQ(trusted(), Announcer::kNobody) << "tracking has not started";
  wakeups_->on_invalidations_confirmed(now_);
  EXPECT_EQ(tracking_calls_, (Names{"hear", "track"}));
}

TEST_F(KeyWakeupsTrackingTest, ReadsAllKeysWhenTrackingStarts) {
  begin();
  watch("a");
  watch("b");
  reads_.clear();
  wakeups_->on_invalidations_confirmed(now_);
  end_turn();
  EXPECT_EQ(reads_, (Names{"a", "b"}));
}

TEST_F(KeyWakeupsTrackingTest, TrustsTrackingAsSoonAsRedisHasAcceptedIt) {
  begin();
  watch("a");
  wakeups_->on_invalidations_confirmed(now_);
  EXPECT_EQ(trusted(), Announcer::kNobody);
  wakeups_->on_tracking_answered("");
  EXPECT_EQ(trusted(), Announcer::kTracking);
  EXPECT_EQ(trusts_, Names{"Redis tracks the keys"});
  EXPECT_EQ(next_sweep(), 500ms);
}

TEST_F(KeyWakeupsTrackingTest, DoesNotTrustTrackingWhileTheSubscriberLinkIsDown) {
  begin();
  watch("a");
  wakeups_->on_invalidations_confirmed(now_);
  links_.subscriber = false;
  wakeups_->on_tracking_answered("");
  EXPECT_EQ(trusted(), Announcer::kNobody);
}

TEST_F(KeyWakeupsTrackingTest, AfterAMissingInvalidationTrustsTrackingOnlyIfItAnnouncesAChange) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_unannounced(key);
  pass(500ms);
  ASSERT_EQ(trusted(), Announcer::kNobody);
  links_.client_id = 8;
  confirm_tracking();
  EXPECT_EQ(trusted(), Announcer::kNobody);
  grow_invalidated(key);
  EXPECT_EQ(trusted(), Announcer::kTracking);
}

TEST_F(KeyWakeupsTrackingTest, TrustsTrackingOnANewReadingLinkAfterAMissingInvalidation) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_unannounced(key);
  pass(500ms);
  ASSERT_EQ(trusted(), Announcer::kNobody);
  wakeups_->on_reading_link_up(now_);
  confirm_tracking();
  EXPECT_EQ(trusted(), Announcer::kTracking);
}

TEST_F(KeyWakeupsTrackingTest, MissesNothingWhileTheSubscriberLinkReconnects) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_unannounced(key);
  links_.client_id = 8;  // the subscriber link was lost and is up again before a sweep
  confirm_tracking();
  pass(5s);
  EXPECT_EQ(trusted(), Announcer::kTracking);
}

TEST_F(KeyWakeupsTrackingTest, TracksOnlyWhileAKeyIsWatched) {
  begin();
  pass(5s);
  EXPECT_EQ(tracking_calls_, Names{});
  NamedKey& key = watch("a");
  confirm_tracking();
  tracking_calls_.clear();
  wakeups_->unwatch(key);
  pass(5s);
  EXPECT_EQ(tracking_calls_, Names{"end tracking"});
  EXPECT_FALSE(sweep_at_) << "sweeps although no key is watched";
  tracking_calls_.clear();
  watch("b");
  EXPECT_EQ(tracking_calls_, Names{"hear"}) << "without waiting for a sweep";
  EXPECT_TRUE(sweep_at_);
}

TEST_F(KeyWakeupsTrackingTest, SubscribesToInvalidationsOnceBothLinksAreUp) {
  links_.reading = false;
  begin();
  watch("a");
  pass(1s);
  EXPECT_EQ(tracking_calls_, Names{});
  links_.reading = true;
  links_.subscriber = false;
  wakeups_->on_reading_link_up(now_);
  pass(1s);
  EXPECT_EQ(tracking_calls_, Names{});
  links_.subscriber = true;
  pass(21ms);
  EXPECT_EQ(tracking_calls_, Names{"hear"});
}

TEST_F(KeyWakeupsTrackingTest, IgnoresAConfirmationWhileTheReadingLinkIsDown) {
  begin();
  watch("a");
  links_.reading = false;
  wakeups_->on_invalidations_confirmed(now_);
  EXPECT_EQ(tracking_calls_, Names{"hear"});
}

TEST_F(KeyWakeupsTrackingTest, StartsTrackingAgainOnANewReadingLink) {
  begin();
  watch("a");
  confirm_tracking();
  tracking_calls_.clear();
  wakeups_->on_reading_link_up(now_);
  EXPECT_EQ(tracking_calls_, Names{"hear"});
  confirm_tracking();
  EXPECT_EQ(tracking_calls_, (Names{"hear", "track"}));
}

TEST_F(KeyWakeupsTrackingTest, StartsTrackingAgainOnANewSubscriberLink) {
  begin();
  watch("a");
  confirm_tracking();
  tracking_calls_.clear();
  reads_.clear();
  links_.client_id = 8;
  confirm_tracking();
  EXPECT_EQ(tracking_calls_, Names{"track"});
  EXPECT_EQ(reads_, Names{"a"});
}

TEST_F(KeyWakeupsTrackingTest, StartsTrackingOnceOnOneConnection) {
  begin();
  watch("a");
  confirm_tracking();
  tracking_calls_.clear();
  reads_.clear();
  confirm_tracking();  // another owner asked for the confirmation
  EXPECT_EQ(tracking_calls_, Names{});
  EXPECT_EQ(reads_, Names{});
}

TEST_F(KeyWakeupsTrackingTest, TrustsNoAnnouncerWhenTheClientIdOfANewSubscriberLinkIsNotKnown) {
  begin();
  watch("a");
  confirm_tracking();
  tracking_calls_.clear();
  links_.client_id = 0;
  wakeups_->on_invalidations_confirmed(now_);
  EXPECT_EQ(tracking_calls_, Names{});
  EXPECT_EQ(refusals_, Names{"CLIENT ID is not permitted, or not known"});
  EXPECT_EQ(trusted(), Announcer::kNobody);
}

// ---- Rules::prefers_tracking ------------------------------------------------------------------------

TEST_F(KeyWakeupsTrackingTest, SubscribesToNotificationsOnceTrackingIsRefused) {
  begin(record_rules());
  watch("a");
  EXPECT_FALSE(wakeups_->hears_notifications());
  wakeups_->on_invalidations_confirmed(now_);
  wakeups_->on_tracking_answered("unknown command");
  tracking_calls_.clear();
  pass(2900ms);
  EXPECT_EQ(tracking_calls_, Names{}) << "the refusal may pass";
  pass(200ms);
  EXPECT_EQ(tracking_calls_, Names{"notify"});
  EXPECT_TRUE(wakeups_->hears_notifications());
  pass(5s);
  EXPECT_EQ(tracking_calls_, Names{"notify"}) << "subscribed twice";
}

TEST_F(KeyWakeupsTrackingTest, SubscribesToNotificationsIfInvalidationsAreNotPermitted) {
  links_.may_hear_invalidations = false;
  begin(record_rules());
  watch("a");
  pass(3100ms);
  EXPECT_EQ(tracking_calls_, Names{"notify"});
}

TEST_F(KeyWakeupsTrackingTest, SubscribesToNoNotificationsIfARefusalPasses) {
  begin(record_rules());
  watch("a");
  confirm_tracking();
  for (links_.client_id = 8; links_.client_id < 20; ++links_.client_id) {
    wakeups_->on_invalidations_confirmed(now_);
    wakeups_->on_tracking_answered("the client does not exist");
    end_turn();
    pass(1s);
    wakeups_->on_tracking_answered("");
    pass(1s);
  }
  EXPECT_FALSE(wakeups_->hears_notifications());
}

TEST_F(KeyWakeupsTrackingTest, KeepsItsTrustInTrackingWhenANotificationComesIfTheRulesPreferTracking) {
  begin(record_rules());
  NamedKey& key = watch("a");
  confirm_tracking();
  ASSERT_EQ(trusted(), Announcer::kTracking);
  grow_after(key, [&] { wakeups_->on_notified(key, "hset", now_); });
  EXPECT_EQ(trusted(), Announcer::kTracking);
}

TEST_F(KeyWakeupsTrackingTest, TrustsNoAnnouncerOnANewReadingLinkUntilItIsTracked) {
  begin();
  watch("a");
  confirm_tracking();
  wakeups_->on_reading_link_up(now_);
  EXPECT_EQ(trusted(), Announcer::kNobody);
  confirm_tracking();
  EXPECT_EQ(trusted(), Announcer::kTracking);
}

TEST_F(KeyWakeupsTrackingTest, JudgesNoTrackingTableWithABurst) {
  begin(record_rules());
  NamedKey& key = watch("a");
  confirm_tracking();
  tracking_calls_.clear();
  for (int period = 0; period < 10; ++period) {
    for (int n = 0; n < 80; ++n) {
      wakeups_->on_invalidated(key, now_);
      wakeups_->read_soon(key);  // not delayed by Rules::burst
      end_turn();
    }
    pass(500ms);
  }
  EXPECT_EQ(tracking_calls_, Names{});
}

TEST_F(KeyWakeupsTrackingTest, ReadsAKeyOnceASecondAfterABurstOfFlushes) {
  begin(record_rules());
  watch("a");
  confirm_tracking();
  reads_.clear();
  for (int n = 0; n < 100; ++n) {
    wakeups_->on_all_invalidated();
    pass(40ms);
  }
  EXPECT_LE(reads_.size(), 5U + 4U) << "in 4 s";
  EXPECT_GE(reads_.size(), 5U + 3U);
}

TEST_F(KeyWakeupsTrackingTest, SubscribesToNoNotificationsWhileTrackingWorks) {
  begin(record_rules());
  watch("a");
  confirm_tracking();
  pass(60s);
  EXPECT_EQ(tracking_calls_, (Names{"hear", "track"}));
  EXPECT_FALSE(wakeups_->hears_notifications());
}

TEST_F(KeyWakeupsTrackingTest, EndsTrackingWhenNotificationsAreTrusted) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_invalidated(key);
  grow_notified(key);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
  tracking_calls_.clear();
  pass(500ms);
  EXPECT_EQ(tracking_calls_, Names{"end tracking"});
  wakeups_->on_invalidations_confirmed(now_);
  EXPECT_EQ(tracking_calls_, Names{"end tracking"}) << "after a new confirmation";
  grow_invalidated(key);
  EXPECT_EQ(trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTrackingTest, StartsTrackingAgainWhenNotificationsAreNoLongerTrusted) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  pass(500ms);
  tracking_calls_.clear();
  grow_unannounced(key);
  pass(521ms);
  EXPECT_EQ(tracking_calls_, Names{"hear"});
}

TEST_F(KeyWakeupsTrackingTest, StopsTrackingWhenInvalidationsAreNoLongerPermitted) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_invalidated(key);
  tracking_calls_.clear();
  links_.may_hear_notifications = false;
  pass(500ms);
  EXPECT_EQ(trusted(), Announcer::kTracking);
  links_.may_hear_invalidations = false;
  pass(521ms);
  EXPECT_EQ(trusted(), Announcer::kNobody);
  EXPECT_EQ(trusts_.back(), "not permitted any more");
  EXPECT_EQ(tracking_calls_, Names{"end tracking"});
}

TEST_F(KeyWakeupsTrackingTest, TrustsNoAnnouncerWhenTrackingIsRefused) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_invalidated(key);
  links_.client_id = 8;
  wakeups_->on_invalidations_confirmed(now_);
  EXPECT_EQ(trusted(), Announcer::kTracking);
  wakeups_->on_tracking_answered("NOPERM");
  EXPECT_EQ(trusted(), Announcer::kNobody);
  EXPECT_EQ(trusts_.back(), "tracking is refused");
  EXPECT_EQ(refusals_, Names{"NOPERM"});
  end_turn();
  tracking_calls_.clear();
  pass(5s);
  EXPECT_EQ(tracking_calls_, Names{}) << "subscribed again on the same connections";
  grow_invalidated(key);
  EXPECT_EQ(trusted(), Announcer::kNobody);
}

TEST_F(KeyWakeupsTrackingTest, KeepsItsTrustInNotificationsWhenTrackingIsRefused) {
  begin();
  NamedKey& key = watch("a");
  wakeups_->on_invalidations_confirmed(now_);
  grow_notified(key);
  wakeups_->on_tracking_answered("NOPERM");
  EXPECT_EQ(trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTrackingTest, ReportsARefusalOnceUntilTrackingHasWorked) {
  begin();
  watch("a");
  const auto answer = [&](std::string_view why) {
    wakeups_->on_invalidations_confirmed(now_);
    wakeups_->on_tracking_answered(why);
  };
  answer("NOPERM");
  answer("NOPERM");
  EXPECT_EQ(refusals_, Names{"NOPERM"});
  answer("unknown");
  answer("");
  answer("unknown");
  EXPECT_EQ(refusals_, (Names{"NOPERM", "unknown", "unknown"}));
}

TEST_F(KeyWakeupsTrackingTest, NeedsTheClientIdOfTheSubscriberLink) {
  links_.client_id = 0;
  begin();
  watch("a");
  pass(1s);
  EXPECT_EQ(tracking_calls_, Names{});
  EXPECT_EQ(refusals_, Names{"CLIENT ID is not permitted, or not known"});
  links_.client_id = 7;
  pass(21ms);
  EXPECT_EQ(tracking_calls_, Names{"hear"});
}

TEST_F(KeyWakeupsTrackingTest, EndsTrackingForTenMinutesWhenTheTrackingTableIsFull) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_invalidated(key);
  tracking_calls_.clear();
  invalidate_uselessly(key, 3);
  EXPECT_EQ(tracking_calls_, Names{});
  invalidate_uselessly(key, 1);
  EXPECT_EQ(tracking_calls_, Names{"end tracking"});
  EXPECT_EQ(refusals_, Names{"Redis forgets what it tracks, see its tracking-table-max-keys"});
  EXPECT_EQ(trusted(), Announcer::kNobody);
  pass(599s);
  EXPECT_EQ(tracking_calls_, Names{"end tracking"});
  pass(2s);
  EXPECT_EQ(tracking_calls_, (Names{"end tracking", "hear"}));
}

TEST_F(KeyWakeupsTrackingTest, CountsNoUsefulOrFailedReadAgainstTheTrackingTable) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  tracking_calls_.clear();
  for (int i = 0; i < 10; ++i) {
    for (int n = 0; n < 90; ++n) {
      constexpr std::array kResults{ReadResult::kChanged, ReadResult::kFailed, ReadResult::kWritten};
      answers_ = false;
      wakeups_->on_invalidated(key, now_);
      end_turn();
      end_read(key, kResults[static_cast<std::size_t>(n) % kResults.size()]);
      answers_ = true;
    }
    pass(500ms);
  }
  EXPECT_EQ(tracking_calls_, Names{});
}

TEST_F(KeyWakeupsTrackingTest, CountsOnlyReadsAfterAnInvalidationAgainstTheTrackingTable) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  tracking_calls_.clear();
  for (int i = 0; i < 10; ++i) {
    for (int n = 0; n < 90; ++n) {
      wakeups_->on_notified(key, n % 2 == 0 ? "xadd" : "expire", now_);
      end_turn();
    }
    pass(500ms);
  }
  EXPECT_EQ(tracking_calls_, Names{});
}

TEST_F(KeyWakeupsTrackingTest, TracksOnANewServerAtOnceAfterAFullTable) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  invalidate_uselessly(key, 5);
  ASSERT_EQ(tracking_calls_.back(), "end tracking");
  wakeups_->on_reading_link_up(now_);
  EXPECT_EQ(tracking_calls_.back(), "hear");
}

TEST_F(KeyWakeupsTrackingTest, ReadsAllKeysOnceForAllFlushesWithinTwentyMilliseconds) {
  begin();
  NamedKey& key = watch("a");
  watch("b");
  confirm_tracking();
  grow_invalidated(key);
  pass(100ms);
  reads_.clear();
  wakeups_->on_all_invalidated();
  pass(10ms);
  wakeups_->on_all_invalidated();
  pass(9ms);
  EXPECT_EQ(reads_, Names{});
  pass(1ms);
  EXPECT_EQ(reads_.size(), 2U);
  EXPECT_EQ(reads_of(400ms), Names{});
  wakeups_->on_all_invalidated();
  EXPECT_EQ(reads_of(20ms).size(), 2U);
}

}  // namespace
}  // namespace tailgate
