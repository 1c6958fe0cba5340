#include "gateway/feeds/key_wakeups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace tailgate {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

using Announcer = KeyWakeups::Announcer;
using Mode = KeyWakeups::Mode;
using ReadResult = KeyWakeups::ReadResult;

struct NamedKey : KeyWakeups::Key {
  explicit NamedKey(std::string text) : name(std::move(text)) {}
  std::string name;
};

using Names = std::vector<std::string>;

// Plays the owner: notes what it is told to do, and keeps the time.
class KeyWakeupsTest : public testing::Test, protected KeyWakeups::Owner {
 protected:
  void begin(Mode mode = Mode::kAuto) {
    wakeups_ = std::make_unique<KeyWakeups>(static_cast<KeyWakeups::Owner&>(*this), mode, "xadd");
    wakeups_->on_reading_link_up(now_);
  }

  // A key that has been read once.
  NamedKey& watch(const std::string& name) {
    NamedKey& key = keys_.emplace_back(name);
    wakeups_->watch(key, now_);
    end_turn();
    return key;
  }

  void end_turn() {
    if (std::exchange(turn_end_asked_, false)) wakeups_->start_reads(now_);
    if (!answers_) return;
    while (!reading_.empty()) end_read(*reading_.front(), ReadResult::kUnchanged);
    for (; unanswered_checks_ > 0; --unanswered_checks_) wakeups_->on_check_ended();
  }

  Announcer end_read(NamedKey& key, ReadResult result, bool more = false) {
    std::erase(reading_, &key);
    return wakeups_->on_read_ended(key, result, more, now_);
  }

  // Lets the time pass, with every sweep that falls into it.
  void pass(KeyWakeups::Time::duration time) {
    const KeyWakeups::Time end = now_ + time;
    while (sweep_at_ && *sweep_at_ <= end) {
      now_ = *sweep_at_;
      sweep_at_.reset();
      wakeups_->sweep(now_);
      end_turn();
    }
    now_ = end;
  }

  // Something happens, after which `key` is read, and has grown.
  template <typename Happening>
  void grow_after(NamedKey& key, Happening happening) {
    happening();
    answers_ = false;
    end_turn();
    answers_ = true;
    ASSERT_TRUE(std::find(reading_.begin(), reading_.end(), &key) != reading_.end()) << "not read";
    end_read(key, ReadResult::kGrew);
    end_turn();
  }
  void grow_notified(NamedKey& key) {
    grow_after(key, [&] { wakeups_->on_notified(key, "xadd"); });
  }
  void grow_invalidated(NamedKey& key) {
    grow_after(key, [&] { wakeups_->on_invalidated(key); });
  }
  // The slow sweep finds growth that nobody has announced.
  void grow_unannounced(NamedKey& key, ReadResult result = ReadResult::kGrew) {
    pass(2s);
    answers_ = false;
    for (int i = 0; i < 5 && reading_.empty(); ++i) pass(500ms);
    answers_ = true;
    ASSERT_EQ(reading_, std::vector<NamedKey*>{&key});
    end_read(key, result);
  }

  void confirm_tracking() {
    wakeups_->on_invalidations_confirmed(now_);
    wakeups_->on_tracking_answered("");
    end_turn();
  }

  Names reads_of(milliseconds time) {
    reads_.clear();
    pass(time);
    return reads_;
  }
  std::size_t checks_of(milliseconds time) {
    checked_.clear();
    pass(time);
    return checked_.size();
  }
  milliseconds next_sweep() const { return std::chrono::duration_cast<milliseconds>(*sweep_at_ - now_); }

  // KeyWakeups::Owner
  KeyWakeups::Links links() const override { return links_; }
  void read(KeyWakeups::Key& key) override {
    reading_.push_back(&static_cast<NamedKey&>(key));
    reads_.push_back(reading_.back()->name);
  }
  void check_for_growth(std::span<KeyWakeups::Key* const> keys) override {
    Names names;
    for (KeyWakeups::Key* key : keys) names.push_back(static_cast<NamedKey*>(key)->name);
    checked_.push_back(names);
    ++unanswered_checks_;
  }
  void hear_invalidations() override { did_.emplace_back("hear"); }
  void start_tracking() override { did_.emplace_back("track"); }
  void end_tracking() override { did_.emplace_back("end tracking"); }
  void start_reads_after_turn() override { turn_end_asked_ = true; }
  void sweep_in(milliseconds delay) override { sweep_at_ = now_ + delay; }
  void on_trust_changed(Announcer /*announcer*/, std::string_view why) override { trusts_.emplace_back(why); }
  void on_tracking_refused(std::string_view why) override { refusals_.emplace_back(why); }

  KeyWakeups::Links links_{.reading = true, .subscriber = true, .has_client_id = true};
  KeyWakeups::Time now_{1h};
  std::unique_ptr<KeyWakeups> wakeups_;
  std::deque<NamedKey> keys_;
  bool answers_ = true;  // each read brings nothing, and each check is answered, at once
  bool turn_end_asked_ = false;
  std::optional<KeyWakeups::Time> sweep_at_;
  std::vector<NamedKey*> reading_;
  Names reads_;
  std::vector<Names> checked_;
  int unanswered_checks_ = 0;
  Names did_;
  Names trusts_;
  Names refusals_;
};

// ---- reading ----------------------------------------------------------------------------------------

TEST_F(KeyWakeupsTest, ReadsAKeyThatIsNewlyWatchedAtTheEndOfTheTurn) {
  begin();
  NamedKey& key = keys_.emplace_back("a");
  wakeups_->watch(key, now_);
  EXPECT_EQ(reads_, Names{});
  end_turn();
  EXPECT_EQ(reads_, Names{"a"});
}

TEST_F(KeyWakeupsTest, ReadsAKeyOnceForAllThatHappensInOneTurn) {
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

TEST_F(KeyWakeupsTest, ReadsAKeyAgainThatMayHaveChangedWhileItWasRead) {
  begin();
  NamedKey& key = watch("a");
  reads_.clear();
  answers_ = false;
  wakeups_->read_soon(key);
  end_turn();
  wakeups_->on_notified(key, "xadd");
  wakeups_->read_soon(key);
  end_turn();
  EXPECT_EQ(reads_, Names{"a"}) << "two reads of one key at once";
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

TEST_F(KeyWakeupsTest, ForgetsAKeyThatIsNotWatchedAnyMore) {
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
  wakeups_->unwatch(c);  // it has moved to another place in the list
  reads_.clear();
  wakeups_->on_reading_link_up(now_);
  end_turn();
  EXPECT_EQ(reads_, Names{"d"});
}

TEST_F(KeyWakeupsTest, ReadsNothingWhileTheReadingLinkIsDownAndEverythingWhenItIsUp) {
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

TEST_F(KeyWakeupsTest, TellsTheOwnerWhoAnnouncedAChange) {
  begin();
  NamedKey& key = watch("a");
  answers_ = false;
  const auto announcer_of = [&](auto happening) {
    happening();
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
  EXPECT_EQ(announcer_of([&] { wakeups_->read_soon(key); }), Announcer::kNobody) << "told twice";
}

TEST_F(KeyWakeupsTest, KnowsWhenAReadBegan) {
  begin();
  NamedKey& key = watch("a");
  pass(5ms);
  const KeyWakeups::Time then = now_;
  wakeups_->read_soon(key);
  end_turn();
  pass(5ms);
  EXPECT_EQ(key.read_began(), then);
}

// ---- notifications ----------------------------------------------------------------------------------

TEST_F(KeyWakeupsTest, TrustsNotificationsOnceOneCameBeforeTheGrowthWasFound) {
  begin();
  NamedKey& key = watch("a");
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
  grow_notified(key);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications);
  EXPECT_EQ(trusts_, Names{"an announcement came before the sweep"});
  EXPECT_EQ(next_sweep(), 500ms);
}

TEST_F(KeyWakeupsTest, DoesNotTrustANotificationAfterWhichNothingHadGrown) {
  begin();
  NamedKey& key = watch("a");
  for (const ReadResult result : {ReadResult::kUnchanged, ReadResult::kChanged, ReadResult::kFailed}) {
    answers_ = false;
    wakeups_->on_notified(key, "xadd");
    end_turn();
    end_read(key, result);
    EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
  }
}

TEST_F(KeyWakeupsTest, DoesNotTrustNotificationsOfOtherCommands) {
  begin();
  NamedKey& key = watch("a");
  for (const char* command : {"expire", "del", "xtrim", "XADD", "xadd ", ""}) {
    grow_after(key, [&] { wakeups_->on_notified(key, command); });
  }
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
}

TEST_F(KeyWakeupsTest, DoesNotTrustWhatCameFromASubscriberLinkThatIsDownNow) {
  begin();
  NamedKey& key = watch("a");
  wakeups_->on_notified(key, "xadd");
  links_.subscriber = false;
  grow_notified(key);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
}

TEST_F(KeyWakeupsTest, TrustsNobodyOnceTheSweepFindsTheSubscriberLinkDown) {
  begin();
  grow_notified(watch("a"));
  links_.subscriber = false;
  pass(499ms);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications);
  pass(1ms);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
  EXPECT_EQ(trusts_.back(), "the subscriber link is down");
  EXPECT_EQ(next_sweep(), 21ms);
}

TEST_F(KeyWakeupsTest, TrustsNotificationsNoMoreWhenTheyArePermittedNoMore) {
  begin();
  grow_notified(watch("a"));
  links_.may_hear_invalidations = false;
  pass(500ms);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications);
  links_.may_hear_notifications = false;
  pass(500ms);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
  EXPECT_EQ(trusts_.back(), "not permitted any more");
}

// ---- a missing announcement -------------------------------------------------------------------------

TEST_F(KeyWakeupsTest, ReadsWhatWasNotReadForTwoSecondsWhileSomebodyIsTrusted) {
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
  EXPECT_EQ(reads_, Names{"b"}) << "the other one was read a second ago";
  pass(1s);
  EXPECT_EQ(reads_, (Names{"b", "a"}));
  EXPECT_EQ(checks_of(10s), 0U) << "nothing is checked while an announcer is trusted";
}

TEST_F(KeyWakeupsTest, TrustsNobodyWhenGrowthThatTheSweepFoundIsNotAnnouncedWithinAQuarterOfASecond) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  grow_unannounced(key);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications);
  pass(500ms);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
  EXPECT_EQ(trusts_.back(), "an entry was not announced");
}

TEST_F(KeyWakeupsTest, WaitsAQuarterOfASecondForALateAnnouncement) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  grow_unannounced(key);
  now_ += 250ms;
  wakeups_->sweep(now_);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications);
  now_ += 1ms;
  wakeups_->sweep(now_);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
}

TEST_F(KeyWakeupsTest, KeepsItsTrustWhenTheAnnouncementComesLate) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  grow_unannounced(key);
  pass(100ms);
  wakeups_->on_notified(key, "xadd");
  end_turn();
  pass(10s);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTest, KeepsItsTrustWhenTheSweepFindsAChangeThatIsNoGrowth) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  grow_unannounced(key, ReadResult::kChanged);
  pass(10s);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications) << "a log that is deleted is not announced";
}

TEST_F(KeyWakeupsTest, KeepsItsTrustWhenGrowthIsFoundThatNoSweepAskedFor) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  grow_after(key, [&] { wakeups_->read_soon(key); });
  pass(10s);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTest, KeepsItsTrustWhenTheSlowSweepMeetsAReadUnderWay) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  answers_ = false;
  wakeups_->read_soon(key);
  end_turn();
  reads_.clear();
  pass(10s);
  EXPECT_EQ(reads_, Names{});
  end_read(key, ReadResult::kGrew);
  answers_ = true;
  pass(1s);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTest, BelievesNoNotificationForAMinuteAfterAMissingOne) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  grow_unannounced(key);
  pass(500ms);
  ASSERT_EQ(wakeups_->trusted(), Announcer::kNobody);
  pass(59s);
  grow_notified(key);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
  pass(1s);
  grow_notified(key);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTest, BelievesTrackingAtOnceAfterAMissingInvalidation) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_invalidated(key);
  ASSERT_EQ(wakeups_->trusted(), Announcer::kTracking);
  grow_unannounced(key);
  pass(500ms);
  ASSERT_EQ(wakeups_->trusted(), Announcer::kNobody);
  grow_notified(key);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications) << "no notification was missing";
}

TEST_F(KeyWakeupsTest, ForgetsMissingAnnouncementsOfSomebodyWhoIsNotTrustedAnyMore) {
  begin();
  NamedKey& a = watch("a");
  confirm_tracking();
  grow_invalidated(a);
  grow_unannounced(a);
  grow_notified(watch("b"));
  ASSERT_EQ(wakeups_->trusted(), Announcer::kNotifications);
  pass(1s);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications) << "the missing one was an invalidation";
}

// ---- tracking ---------------------------------------------------------------------------------------

TEST_F(KeyWakeupsTest, AsksForTrackingOnlyAfterTheSubscriberLinkHasAnswered) {
  begin();
  NamedKey& key = watch("a");
  EXPECT_EQ(did_, Names{"hear"});
  pass(5s);
  EXPECT_EQ(did_, Names{"hear"}) << "asked twice";
  grow_invalidated(key);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody) << "an invalidation from before";
  wakeups_->on_invalidations_confirmed(now_);
  EXPECT_EQ(did_, (Names{"hear", "track"}));
}

TEST_F(KeyWakeupsTest, ReadsAllKeysRightBehindTheCommandThatBeginsTracking) {
  begin();
  watch("a");
  watch("b");
  reads_.clear();
  wakeups_->on_invalidations_confirmed(now_);
  end_turn();
  EXPECT_EQ(reads_, (Names{"a", "b"}));
}

TEST_F(KeyWakeupsTest, TrustsTrackingOnceAnInvalidationCameBeforeTheGrowthWasFound) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_invalidated(key);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kTracking);
  EXPECT_EQ(next_sweep(), 500ms);
}

TEST_F(KeyWakeupsTest, AsksForNothingWhileNoKeyIsWatchedAndEndsTrackingWithTheLastOne) {
  begin();
  pass(5s);
  EXPECT_EQ(did_, Names{});
  NamedKey& key = watch("a");
  confirm_tracking();
  did_.clear();
  wakeups_->unwatch(key);
  pass(5s);
  EXPECT_EQ(did_, Names{"end tracking"});
  EXPECT_FALSE(sweep_at_) << "sweeps on although nothing is watched";
  did_.clear();
  watch("b");
  EXPECT_EQ(did_, Names{"hear"}) << "at once, whatever is trusted";
  EXPECT_TRUE(sweep_at_);
}

TEST_F(KeyWakeupsTest, AsksForNoTrackingBeforeBothLinksAreUp) {
  links_.reading = false;
  begin();
  watch("a");
  pass(1s);
  EXPECT_EQ(did_, Names{});
  links_.reading = true;
  links_.subscriber = false;
  wakeups_->on_reading_link_up(now_);
  pass(1s);
  EXPECT_EQ(did_, Names{});
  links_.subscriber = true;
  pass(21ms);
  EXPECT_EQ(did_, Names{"hear"});
}

TEST_F(KeyWakeupsTest, IgnoresAConfirmationThatComesWhileTheReadingLinkIsDown) {
  begin();
  watch("a");
  links_.reading = false;
  wakeups_->on_invalidations_confirmed(now_);
  EXPECT_EQ(did_, Names{"hear"});
}

TEST_F(KeyWakeupsTest, AsksForTrackingAnewWhenTheReadingLinkIsNew) {
  begin();
  watch("a");
  confirm_tracking();
  did_.clear();
  wakeups_->on_reading_link_up(now_);
  EXPECT_EQ(did_, Names{"hear"});
  grow_invalidated(keys_.front());
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody) << "what the old link had read";
}

TEST_F(KeyWakeupsTest, AsksForTrackingAnewWhenTheSubscriberLinkIsNew) {
  begin();
  watch("a");
  confirm_tracking();
  did_.clear();
  reads_.clear();
  confirm_tracking();  // it is confirmed again after each loss
  EXPECT_EQ(did_, Names{"track"});
  EXPECT_EQ(reads_, Names{"a"});
}

TEST_F(KeyWakeupsTest, EndsTrackingWhenNotificationsAreTrusted) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_invalidated(key);
  grow_notified(key);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications);
  did_.clear();
  pass(500ms);
  EXPECT_EQ(did_, Names{"end tracking"});
  wakeups_->on_invalidations_confirmed(now_);
  EXPECT_EQ(did_, Names{"end tracking"}) << "the subscriber link is new";
  grow_invalidated(key);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTest, AsksForTrackingAgainWhenNotificationsAreNotTrustedAnyMore) {
  begin();
  NamedKey& key = watch("a");
  grow_notified(key);
  pass(500ms);
  did_.clear();
  grow_unannounced(key);
  pass(521ms);
  EXPECT_EQ(did_, Names{"hear"});
}

TEST_F(KeyWakeupsTest, TrustsTrackingNoMoreWhenInvalidationsArePermittedNoMore) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_invalidated(key);
  did_.clear();
  links_.may_hear_notifications = false;
  pass(500ms);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kTracking);
  links_.may_hear_invalidations = false;
  pass(521ms);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
  EXPECT_EQ(trusts_.back(), "not permitted any more");
  EXPECT_EQ(did_, Names{"end tracking"});
}

TEST_F(KeyWakeupsTest, TrustsNobodyWhenTrackingIsRefused) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_invalidated(key);
  wakeups_->on_invalidations_confirmed(now_);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kTracking);
  wakeups_->on_tracking_answered("NOPERM");
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
  EXPECT_EQ(trusts_.back(), "tracking is refused");
  EXPECT_EQ(refusals_, Names{"NOPERM"});
  end_turn();
  did_.clear();
  pass(5s);
  EXPECT_EQ(did_, Names{}) << "asked again on the same connections";
  grow_invalidated(key);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
}

TEST_F(KeyWakeupsTest, KeepsItsTrustInNotificationsWhenTrackingIsRefused) {
  begin();
  NamedKey& key = watch("a");
  wakeups_->on_invalidations_confirmed(now_);
  grow_notified(key);
  wakeups_->on_tracking_answered("NOPERM");
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications);
}

TEST_F(KeyWakeupsTest, ReportsTheSameRefusalOnceUntilTrackingWorked) {
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

TEST_F(KeyWakeupsTest, NeedsTheClientIdOfTheSubscriberLinkForTracking) {
  links_.has_client_id = false;
  begin();
  watch("a");
  pass(1s);
  EXPECT_EQ(did_, Names{});
  EXPECT_EQ(refusals_, Names{"CLIENT ID is not permitted, or not known"});
  links_.has_client_id = true;
  pass(21ms);
  EXPECT_EQ(did_, Names{"hear"});
}

TEST_F(KeyWakeupsTest, EndsTrackingForTenMinutesWhenRedissTableIsFull) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  grow_invalidated(key);
  did_.clear();
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(did_, Names{});
    for (int n = 0; n < 60; ++n) {
      wakeups_->on_invalidated(key);
      end_turn();
    }
    pass(500ms);
  }
  EXPECT_EQ(did_, Names{"end tracking"});
  EXPECT_EQ(refusals_, Names{"Redis forgets what it tracks, see its tracking-table-max-keys"});
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
  pass(599s);
  EXPECT_EQ(did_, Names{"end tracking"});
  pass(2s);
  EXPECT_EQ(did_, (Names{"end tracking", "hear"}));
}

TEST_F(KeyWakeupsTest, CountsNoUsefulAndNoFailedReadAgainstTheTrackingTable) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  did_.clear();
  for (int i = 0; i < 10; ++i) {
    for (int n = 0; n < 90; ++n) {
      constexpr std::array kResults{ReadResult::kChanged, ReadResult::kFailed, ReadResult::kGrew};
      answers_ = false;
      wakeups_->on_invalidated(key);
      end_turn();
      end_read(key, kResults[static_cast<std::size_t>(n) % kResults.size()]);
      answers_ = true;
    }
    pass(500ms);
  }
  EXPECT_EQ(did_, Names{});
}

TEST_F(KeyWakeupsTest, CountsOnlyReadsThatFollowAnInvalidationAgainstTheTrackingTable) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  did_.clear();
  for (int i = 0; i < 10; ++i) {
    for (int n = 0; n < 90; ++n) {
      wakeups_->on_notified(key, n % 2 == 0 ? "xadd" : "expire");
      end_turn();
    }
    pass(500ms);
  }
  EXPECT_EQ(did_, Names{});
}

TEST_F(KeyWakeupsTest, TriesTheTrackingTableOfANewServerAtOnce) {
  begin();
  NamedKey& key = watch("a");
  confirm_tracking();
  for (int i = 0; i < 5; ++i) {
    for (int n = 0; n < 60; ++n) {
      wakeups_->on_invalidated(key);
      end_turn();
    }
    pass(500ms);
  }
  ASSERT_EQ(did_.back(), "end tracking");
  wakeups_->on_reading_link_up(now_);
  EXPECT_EQ(did_.back(), "hear");
}

TEST_F(KeyWakeupsTest, ReadsAllKeysOnceForAllInvalidationsOfEverythingWithinTwentyMilliseconds) {
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
  EXPECT_EQ(reads_, (Names{"a", "b"}));
  EXPECT_EQ(reads_of(400ms), Names{});
  wakeups_->on_all_invalidated();
  EXPECT_EQ(reads_of(20ms), (Names{"a", "b"}));
}

// ---- the fast sweep ---------------------------------------------------------------------------------

TEST_F(KeyWakeupsTest, KeepsItsPaceWhenMoreKeysAreWatched) {
  begin();
  watch("a");
  pass(10ms);
  watch("b");
  EXPECT_EQ(next_sweep(), 11ms) << "a new key does not put the sweep off";
  pass(50ms);
  watch("c");
  EXPECT_LT(next_sweep(), 21ms);
}

TEST_F(KeyWakeupsTest, ChecksKeysEvery21MillisecondsWhileNobodyIsTrusted) {
  begin();
  watch("a");
  watch("b");
  EXPECT_EQ(next_sweep(), 21ms);
  EXPECT_EQ(checks_of(210ms), 10U);
  EXPECT_EQ(checked_.front(), (Names{"a", "b"}));
}

TEST_F(KeyWakeupsTest, ChecksAKeyThatHasNotGrownLessOftenUpTo200Milliseconds) {
  begin();
  NamedKey& key = watch("a");
  pass(2s);
  const std::size_t after_two_seconds = checks_of(1s);
  EXPECT_GE(after_two_seconds, 7U) << "a twentieth of two to three seconds";
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

TEST_F(KeyWakeupsTest, ChecksAKeyAloneAfterAnErrorForSeveral) {
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

TEST_F(KeyWakeupsTest, ChecksNothingWhileAnEarlierCheckIsUnanswered) {
  begin();
  watch("a");
  answers_ = false;
  pass(21ms);
  EXPECT_EQ(checks_of(1s), 0U);
  wakeups_->on_check_ended();
  EXPECT_EQ(checks_of(21ms), 1U);
}

TEST_F(KeyWakeupsTest, ChecksNoKeyThatIsReadOrAboutToBe) {
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

// ---- redis.wakeups ----------------------------------------------------------------------------------

TEST_F(KeyWakeupsTest, WithModeNotificationsTrustsThemFromTheBeginningAndNeverAsksForTracking) {
  begin(Mode::kNotifications);
  NamedKey& key = watch("a");
  EXPECT_TRUE(wakeups_->wants_notifications());
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications);
  EXPECT_EQ(next_sweep(), 500ms);
  grow_unannounced(key);
  links_.subscriber = false;
  pass(5s);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNotifications) << "nothing shakes it";
  wakeups_->on_invalidations_confirmed(now_);
  EXPECT_EQ(did_, Names{});
  links_.may_hear_notifications = false;
  pass(500ms);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody) << "but a missing right";
  links_.subscriber = links_.may_hear_notifications = true;
  grow_notified(key);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
}

TEST_F(KeyWakeupsTest, WithModeSweepTrustsNobodyAndHearsNothing) {
  begin(Mode::kSweep);
  NamedKey& key = watch("a");
  EXPECT_FALSE(wakeups_->wants_notifications());
  grow_notified(key);
  grow_invalidated(key);
  EXPECT_EQ(wakeups_->trusted(), Announcer::kNobody);
  EXPECT_EQ(checks_of(210ms), 10U);
  EXPECT_EQ(did_, Names{});
}

TEST_F(KeyWakeupsTest, WithModeAutoHearsNotifications) {
  begin();
  EXPECT_TRUE(wakeups_->wants_notifications());
}

}  // namespace
}  // namespace tailgate
