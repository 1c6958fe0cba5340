#include "gateway/feeds/key_wakeups.h"

#include <algorithm>
#include <utility>

namespace tailgate {

namespace {

using std::chrono::milliseconds;

// While no announcer is trusted, the interval between two checks of a key is a twentieth of the time since
// the key last grew, but at least 21 ms and at most 200 ms.  If a sweep checks more than 1,000 keys, the next
// sweep comes later in proportion.  So Redis checks at most 48,000 keys a second.
constexpr milliseconds kFastSweep{21};
constexpr int kIdleDivisor = 20;
constexpr milliseconds kLongestPause{200};
constexpr std::size_t kKeysOfFastSweep = 1000;
// Redis needs five times as much CPU time for a hundred checks of one key as for one check of a hundred keys.
constexpr std::size_t kKeysOfCheck = 100;
// After this time without a read, a key is read even if nothing was announced.  Announcements may get lost.
constexpr milliseconds kLongestUnread{2000};
constexpr milliseconds kSlowSweep{500};
// If growth was found without an announcement, the announcement counts as missing after this time.
constexpr milliseconds kAnnouncementGrace{250};
// How long notifications are not trusted after one was missing.  In the meantime tracking can be trusted.
// Depending on its configuration, a server sends no notification for some changes, such as a RENAME onto a
// key.  Tracking announces these changes, too.
constexpr std::chrono::minutes kDistrust{1};
// The shortest interval between two reads of all keys, while a client sends FLUSHALL in a loop.
constexpr milliseconds kFlushInterval{20};

}  // namespace

KeyWakeups::KeyWakeups(Owner& owner, Mode mode, std::string growth_command)
    : owner_(owner),
      mode_(mode),
      growth_command_(std::move(growth_command)),
      trusted_(mode == Mode::kNotifications ? Announcer::kNotifications : Announcer::kNobody) {
}

void KeyWakeups::watch(Key& key, Time now) {
  key.last_growth_ = now;
  key.index_ = keys_.size();
  keys_.push_back(&key);
  update_tracking(now);
  read_soon(key);
  if (!sweep_pending_) sweep_later();
}

void KeyWakeups::unwatch(Key& key) {
  keys_.back()->index_ = key.index_;
  keys_[key.index_] = keys_.back();
  keys_.pop_back();
  if (key.phase_ == Key::Phase::kDue) std::erase(due_, &key);
}

// ---- announcements and reads ------------------------------------------------------------------------

void KeyWakeups::read_soon(Key& key) {
  switch (key.phase_) {
    case Key::Phase::kIdle:
      key.phase_ = Key::Phase::kDue;
      due_.push_back(&key);
      owner_.start_reads_after_turn();
      break;
    case Key::Phase::kReading:
      key.phase_ = Key::Phase::kReadingStale;
      break;
    case Key::Phase::kDue:
    case Key::Phase::kReadingStale:
      break;
  }
}

// A server may be configured to notify of some commands only: a notification of EXPIRE does not prove that
// Redis notifies of XADD.
void KeyWakeups::on_notified(Key& key, std::string_view command) {
  if (command == growth_command_) return on_announced(key, Announcer::kNotifications);
  read_soon(key);
}

void KeyWakeups::on_announced(Key& key, Announcer announcer) {
  key.announced_ = std::max(key.announced_, announcer);
  key.missed_at_.reset();
  read_soon(key);
}

void KeyWakeups::on_all_invalidated() {
  if (!std::exchange(all_invalidated_, true)) owner_.sweep_in(kFlushInterval);
}

void KeyWakeups::read_all() {
  for (Key* key : keys_) read_soon(*key);
}

void KeyWakeups::start_reads(Time now) {
  const bool can_read = owner_.links().reading;
  for (Key* key : std::exchange(due_, {})) {
    // While the link is down nothing is read.  on_reading_link_up() reads every key.
    key->phase_ = can_read ? Key::Phase::kReading : Key::Phase::kIdle;
    if (!can_read) continue;
    key->read_began_ = now;
    owner_.read(*key);
  }
}

KeyWakeups::Announcer KeyWakeups::on_read_ended(Key& key, ReadResult result, bool more, Time now) {
  const bool is_stale = key.phase_ == Key::Phase::kReadingStale;
  key.phase_ = Key::Phase::kIdle;
  const Announcer announced = std::exchange(key.announced_, Announcer::kNobody);
  const bool was_swept = std::exchange(key.is_swept_, false);
  if (announced == Announcer::kTracking && result != ReadResult::kFailed) {
    tracking_table_.count_invalidation(result != ReadResult::kUnchanged);
  }
  if (result == ReadResult::kGrew) {
    key.last_growth_ = now;
    key.next_check_ = {};
    if (announced > trusted_ && can_trust(announced, now)) {
      trust(announced, "an announcement came before the sweep");
    }
    if (was_swept && announced == Announcer::kNobody && trusted_ != Announcer::kNobody) key.missed_at_ = now;
  }
  if (more || is_stale) read_soon(key);
  return announced;
}

// ---- trust ------------------------------------------------------------------------------------------

// An announcement counts only while the subscriber link is up and, for tracking, while tracking is on.
bool KeyWakeups::can_trust(Announcer announcer, Time now) const {
  if (mode_ != Mode::kAuto || !owner_.links().subscriber) return false;
  return announcer == Announcer::kTracking ? tracking_ == Tracking::kOn : now >= distrusted_until_;
}

void KeyWakeups::trust(Announcer announcer, std::string_view why) {
  if (std::exchange(trusted_, announcer) == announcer) return;
  for (Key* key : keys_) key->missed_at_.reset();  // only a trusted announcer's misses count
  owner_.on_trust_changed(announcer, why);
  sweep_later();
}

// ---- tracking ---------------------------------------------------------------------------------------

bool KeyWakeups::wants_tracking(Time now) const {
  return mode_ == Mode::kAuto && trusted_ != Announcer::kNotifications && !keys_.empty() &&
         !tracking_table_.is_full(now) && owner_.links().may_hear_invalidations;
}

// CLIENT TRACKING names the client id to which Redis sends invalidations.  After a restart Redis may give the
// id of a lost connection to another client.  So Redis must first answer on the subscriber link, which proves
// that the link's id is still valid.
void KeyWakeups::update_tracking(Time now) {
  const Links links = owner_.links();
  if (!links.reading) return;
  if (!wants_tracking(now)) {
    if (std::exchange(tracking_, Tracking::kOff) == Tracking::kOn) owner_.end_tracking();
  } else if (tracking_ == Tracking::kOff && links.subscriber) {
    if (!links.has_client_id) return refuse_tracking("CLIENT ID is not permitted, or not known");
    tracking_ = Tracking::kAwaitingConfirmation;
    owner_.hear_invalidations();
  }
}

void KeyWakeups::on_reading_link_up(Time now) {
  tracking_ = Tracking::kOff;
  tracking_table_.reset();
  update_tracking(now);
  read_all();
}

void KeyWakeups::on_invalidations_confirmed(Time now) {
  if (!owner_.links().reading || !wants_tracking(now)) return;
  tracking_ = Tracking::kOn;
  owner_.start_tracking();
  read_all();  // Redis tracks a key only from its next read on
}

void KeyWakeups::on_tracking_answered(std::string_view why_refused) {
  if (!why_refused.empty()) return refuse_tracking(why_refused);
  why_refused_.clear();
}

void KeyWakeups::refuse_tracking(std::string_view why) {
  if (tracking_ == Tracking::kOn) tracking_ = Tracking::kAwaitingConfirmation;
  if (std::exchange(why_refused_, why) != why) owner_.on_tracking_refused(why);
  if (trusted_ == Announcer::kTracking) trust(Announcer::kNobody, "tracking is refused");
}

void KeyWakeups::judge_tracking_table(Time now) {
  if (tracking_ != Tracking::kOn) return;
  tracking_table_.judge(now, keys_.size());
  if (!tracking_table_.is_full(now)) return;
  owner_.end_tracking();
  refuse_tracking("Redis forgets what it tracks, see its tracking-table-max-keys");
}

// ---- the sweep --------------------------------------------------------------------------------------

void KeyWakeups::sweep_later() {
  sweep_pending_ = true;
  const auto fast =
      std::max(kFastSweep, kFastSweep * static_cast<int>(keys_checked_) / static_cast<int>(kKeysOfFastSweep));
  owner_.sweep_in(trusted_ == Announcer::kNobody ? fast : kSlowSweep);
}

void KeyWakeups::sweep(Time now) {
  sweep_pending_ = false;
  const Links links = owner_.links();
  if (mode_ == Mode::kAuto && !links.subscriber) {
    trust(Announcer::kNobody, "the subscriber link is down");
  }
  if ((trusted_ == Announcer::kNotifications && !links.may_hear_notifications) ||
      (trusted_ == Announcer::kTracking && !links.may_hear_invalidations)) {
    trust(Announcer::kNobody, "not permitted any more");
  }
  if (mode_ == Mode::kNotifications && links.may_hear_notifications) {
    trust(Announcer::kNotifications, "permitted again");
  }
  if (std::exchange(all_invalidated_, false)) read_all();
  if (links.reading) {
    judge_tracking_table(now);
    update_tracking(now);
    sweep_slowly(now);
    if (trusted_ == Announcer::kNobody) check_all(now);
  }
  if (!keys_.empty()) sweep_later();
}

void KeyWakeups::sweep_slowly(Time now) {
  for (Key* key : keys_) {
    if (key->phase_ == Key::Phase::kReading || key->phase_ == Key::Phase::kReadingStale) continue;
    if (mode_ == Mode::kAuto && key->missed_at_ && now - *key->missed_at_ > kAnnouncementGrace) {
      if (trusted_ == Announcer::kNotifications) distrusted_until_ = now + kDistrust;
      trust(Announcer::kNobody, "an entry was not announced");
    }
    if (now - key->read_began_ >= kLongestUnread) {
      key->is_swept_ = true;
      read_soon(*key);
    }
  }
}

// Most keys have not grown since the last check, and a check of such a key costs less than a read.
void KeyWakeups::check_all(Time now) {
  if (checks_under_way_ > 0) return;  // Redis has not answered all earlier checks
  std::vector<Key*> together;
  const auto check = [this](std::span<Key* const> keys) {
    ++checks_under_way_;
    owner_.check_for_growth(keys);
  };
  keys_checked_ = 0;
  for (Key* key : keys_) {
    if (key->phase_ != Key::Phase::kIdle || now < key->next_check_) continue;
    ++keys_checked_;
    const auto pause =
        std::clamp<Time::duration>((now - key->last_growth_) / kIdleDivisor, kFastSweep, kLongestPause);
    // Half a sweep early, so that a sweep whose timer is inexact does not leave the check to the next sweep.
    key->next_check_ = now + pause - kFastSweep / 2;
    if (key->is_checked_alone_) {
      check({&key, 1});
    } else if (together.push_back(key); together.size() == kKeysOfCheck) {
      check(together);
      together.clear();
    }
  }
  if (!together.empty()) check(together);
}

}  // namespace tailgate
