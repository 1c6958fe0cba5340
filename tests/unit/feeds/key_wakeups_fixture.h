// KeyWakeupsTest: a test that is the owner of a KeyWakeups.
//
// It records what KeyWakeups decides, and moves the time itself.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/feeds/key_wakeups.h"

namespace tailgate::testing {

struct NamedKey : KeyWakeups::Key {
  explicit NamedKey(std::string text) : name(std::move(text)) {}
  std::string name;
};

class KeyWakeupsTest : public ::testing::Test, protected KeyWakeups::Owner {
 protected:
  using Announcer = KeyWakeups::Announcer;
  using Mode = KeyWakeups::Mode;
  using Names = std::vector<std::string>;
  using ReadResult = KeyWakeups::ReadResult;
  using milliseconds = std::chrono::milliseconds;

  // With the rules of logs.
  void begin(Mode mode = Mode::kAuto) {
    begin(KeyWakeups::Rules{.mode = mode,
                            .commands = {"xadd"},
                            .always_trusts_notifications = true,
                            .checks_growth = true,
                            .sweep_trusted = milliseconds(2000),
                            .sweep_untrusted = milliseconds(2000)});
  }
  static KeyWakeups::Rules record_rules(Mode mode = Mode::kAuto) {
    return {.mode = mode,
            .commands = {"hset", "hdel"},
            .prefers_tracking = true,
            .sweep_trusted = milliseconds(10'000),
            .sweep_untrusted = milliseconds(1000),
            .burst = 5};
  }
  void begin(KeyWakeups::Rules rules) {
    wakeups_ = std::make_unique<KeyWakeups>(static_cast<KeyWakeups::Owner&>(*this), std::move(rules));
    wakeups_->on_reading_link_up(now_);
  }

  // Watches a key and reads it once.
  NamedKey& watch(const std::string& name) {
    NamedKey& key = keys_.emplace_back(name);
    wakeups_->watch(key, now_);
    wakeups_->read_soon(key);
    end_turn();
    return key;
  }

  void end_turn() {
    if (std::exchange(turn_end_asked_, false)) wakeups_->start_reads(now_);
    while (std::exchange(next_turn_asked_, false)) wakeups_->start_reads(now_);
    if (!answers_) return;
    while (!reading_.empty()) {
      for (NamedKey* key : std::exchange(reading_, {})) {
        wakeups_->on_read_ended(*key, ReadResult::kUnchanged, /*more=*/false, now_);
      }
    }
    for (; unanswered_checks_ > 0; --unanswered_checks_) wakeups_->on_check_ended();
  }

  void end_read(NamedKey& key, ReadResult result, bool more = false) {
    std::erase(reading_, &key);
    wakeups_->on_read_ended(key, result, more, now_);
  }

  // Lets time pass, with every sweep that is due in it.
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

  // Calls `announce`, after which `key` must be read; the read finds growth.
  template <typename Announce>
  void grow_after(NamedKey& key, Announce announce) {
    announce();
    answers_ = false;
    end_turn();
    answers_ = true;
    ASSERT_TRUE(std::find(reading_.begin(), reading_.end(), &key) != reading_.end()) << "not read";
    end_read(key, ReadResult::kWritten);
    end_turn();
  }
  void grow_notified(NamedKey& key) {
    grow_after(key, [&] { wakeups_->on_notified(key, "xadd", now_); });
  }
  void grow_invalidated(NamedKey& key) {
    grow_after(key, [&] { wakeups_->on_invalidated(key, now_); });
  }
  // Lets the slow sweep find growth, or another result, that was not announced.
  void grow_unannounced(NamedKey& key, ReadResult result = ReadResult::kWritten) {
    pass(milliseconds(2000));
    answers_ = false;
    for (int i = 0; i < 5 && reading_.empty(); ++i) pass(milliseconds(500));
    answers_ = true;
    ASSERT_EQ(reading_, std::vector<NamedKey*>{&key});
    end_read(key, result);
  }

  void confirm_tracking() {
    wakeups_->on_invalidations_confirmed(now_);
    wakeups_->on_tracking_answered("");
    end_turn();
  }

  // The keys that are read in this time.
  Names reads_of(KeyWakeups::Time::duration time) {
    reads_.clear();
    pass(time);
    return reads_;
  }
  // How many checks are sent in this time.
  std::size_t checks_of(KeyWakeups::Time::duration time) {
    checked_.clear();
    pass(time);
    return checked_.size();
  }
  milliseconds next_sweep() const { return std::chrono::duration_cast<milliseconds>(*sweep_at_ - now_); }
  Announcer trusted() const { return wakeups_->trusted(); }

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
  void hear_notifications() override { tracking_calls_.emplace_back("notify"); }
  void hear_invalidations() override { tracking_calls_.emplace_back("hear"); }
  void start_tracking() override { tracking_calls_.emplace_back("track"); }
  void end_tracking() override { tracking_calls_.emplace_back("end tracking"); }
  void start_reads_after_turn() override { turn_end_asked_ = true; }
  void start_reads_next_turn() override { next_turn_asked_ = true; }
  void sweep_in(milliseconds delay) override { sweep_at_ = now_ + delay; }
  void on_trust_changed(std::string_view why) override { trusts_.emplace_back(why); }
  void on_tracking_refused(std::string_view why) override { refusals_.emplace_back(why); }

  KeyWakeups::Links links_{.reading = true, .subscriber = true, .client_id = 7};
  KeyWakeups::Time now_{std::chrono::hours(1)};
  std::unique_ptr<KeyWakeups> wakeups_;
  std::deque<NamedKey> keys_;
  bool answers_ = true;  // every read ends unchanged, and every check is answered, in the same turn
  bool turn_end_asked_ = false;
  bool next_turn_asked_ = false;
  std::optional<KeyWakeups::Time> sweep_at_;
  std::vector<NamedKey*> reading_;
  Names reads_;
  std::vector<Names> checked_;
  int unanswered_checks_ = 0;
  Names tracking_calls_;  // "hear", "track", "end tracking" and "notify"
  Names trusts_;
  Names refusals_;
};

}  // namespace tailgate::testing
