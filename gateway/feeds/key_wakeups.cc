#include "gateway/feeds/key_wakeups.h"

#include <algorithm>

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
// The most reads that begin in one turn of the loop.  More would delay deliveries.
constexpr std::size_t kReadsOfTurn = 64;
// A sweep orders about this many reads.  The process then wakes twice for all of them (to send, and for the
// answers), not twice for each key.
constexpr int kReadsOfSweep = 64;
constexpr milliseconds kShortestSweep{2};
constexpr milliseconds kLongestSweep{500};      // while an announcer is trusted and no read is delayed
constexpr milliseconds kLongestBusySweep{100};  // otherwise
// If the sweep found a key written without an announcement, the announcement counts as missing after this
// time.
constexpr milliseconds kAnnouncementGrace{250};
// How long notifications are not trusted after one was missing.  In the meantime tracking can be trusted.
// Depending on its configuration, a server sends no notification for some changes, such as a RENAME onto a
// key.  Tracking announces these changes, too.
constexpr std::chrono::minutes kDistrust{1};
// The shortest interval between two reads of all keys, while a client sends FLUSHALL in a loop.
constexpr milliseconds kFlushInterval{20};
// With Rules::burst, each second permits one announced read of a key.
constexpr std::chrono::seconds kAllowance{1};
// With Rules::prefers_tracking, notifications are subscribed to if tracking was refused for this time.  A
// refusal may pass, for example if Redis has closed the subscriber link just before.
constexpr std::chrono::seconds kRefused{3};
constexpr std::string_view kNoClientId = "CLIENT ID is not permitted, or not known";

}  // namespace

KeyWakeups::KeyWakeups(Owner& owner, Rules rules)
    : owner_(owner),
      rules_(std::move(rules)),
      trusted_(always_trusts() ? Announcer::kNotifications : Announcer::kNobody),
      hears_notifications_(rules_.mode == Mode::kNotifications ||
                           (rules_.mode == Mode::kAuto && !rules_.prefers_tracking)) {
}

void KeyWakeups::watch(Key& key, Time now) {
  key.last_growth_ = key.read_began_ = now;
  key.place_ = keys_.insert(keys_.end(), &key);
  update_tracking(now);
  if (sweep_pending_) return;
  last_sweep_ = can_track_at_ = now;
  sweep_later();
}

void KeyWakeups::unwatch(Key& key) {
  keys_.erase(key.place_);
  if (key.phase_ == Key::Phase::kDue) std::erase(due_, &key);
  if (key.phase_ == Key::Phase::kDelayed) delayed_.erase({key.delayed_until_, &key});
  if (missing_ == &key) missing_ = nullptr;
}

// ---- announcements and reads ------------------------------------------------------------------------

void KeyWakeups::read_soon(Key& key) {
  switch (key.phase_) {
    case Key::Phase::kDelayed:
      delayed_.erase({key.delayed_until_, &key});
      [[fallthrough]];
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

void KeyWakeups::on_notified(Key& key, std::string_view command, Time now) {
  const bool proves =
      std::find(rules_.commands.begin(), rules_.commands.end(), command) != rules_.commands.end();
  on_announced(key, proves ? Announcer::kNotifications : Announcer::kNobody, now);
}

void KeyWakeups::on_announced(Key& key, Announcer announcer, Time now) {
  key.announced_ = std::max(key.announced_, announcer);
  if (missing_ == &key) missing_ = nullptr;
  read_announced(key, now);
}

void KeyWakeups::read_announced(Key& key, Time now) {
  if (key.phase_ == Key::Phase::kDelayed) return;
  if (key.phase_ != Key::Phase::kIdle || rules_.burst == 0) return read_soon(key);
  const Time permitted = std::max(key.allowance_began_, now - kAllowance * rules_.burst) + kAllowance;
  if (permitted <= now) {
    key.allowance_began_ = permitted;
    read_soon(key);
  } else {
    key.phase_ = Key::Phase::kDelayed;
    key.delayed_until_ = permitted;
    delayed_.insert({permitted, &key});
  }
}

void KeyWakeups::read_delayed(Time now) {
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    Key& key = *delayed_.begin()->second;
    key.allowance_began_ = key.delayed_until_;
    read_soon(key);
  }
}

void KeyWakeups::on_all_invalidated() {
  if (!std::exchange(all_invalidated_, true)) owner_.sweep_in(kFlushInterval);
}

void KeyWakeups::read_all() {
  for (Key* key : keys_) read_soon(*key);
}

void KeyWakeups::start_reads(Time now) {
  if (!owner_.links().reading) {
    // While the link is down nothing is read.  on_reading_link_up() reads every key.
    for (Key* key : std::exchange(due_, {})) {
      key->phase_ = Key::Phase::kIdle;
      key->is_swept_ = false;
    }
    return;
  }
  for (std::size_t left = kReadsOfTurn; left > 0 && !due_.empty(); --left) {
    Key& key = *due_.front();
    due_.pop_front();
    key.phase_ = Key::Phase::kReading;
    key.read_began_ = now;
    keys_.splice(keys_.end(), keys_, key.place_);
    owner_.read(key);
  }
  if (!due_.empty()) owner_.start_reads_next_turn();
}

void KeyWakeups::on_read_ended(Key& key, ReadResult result, bool more, Time now) {
  const bool is_stale = key.phase_ == Key::Phase::kReadingStale;
  key.phase_ = Key::Phase::kIdle;
  const Announcer announced = std::exchange(key.announced_, Announcer::kNobody);
  const bool was_swept = std::exchange(key.is_swept_, false);
  if (announced == Announcer::kTracking && result != ReadResult::kFailed) {
    tracking_table_.count_invalidation(result != ReadResult::kUnchanged);
  }
  if (result == ReadResult::kWritten) {
    key.last_growth_ = now;
    key.next_check_ = {};
    const bool is_better =
        announced > trusted_ && !(rules_.prefers_tracking && trusted_ == Announcer::kTracking);
    if (is_better && can_trust(announced, now)) trust(announced, "a change was announced");
    const bool was_unannounced = announced == Announcer::kNobody && trusted_ != Announcer::kNobody;
    if (was_swept && was_unannounced && missing_ == nullptr) {
      missing_ = &key;
      missing_since_ = now;
    }
  }
  if (more) {
    read_soon(key);
  } else if (is_stale) {
    read_announced(key, now);
  }
}

// ---- trust ------------------------------------------------------------------------------------------

// An announcement counts only while the subscriber link is up and, for tracking, while tracking is on.
bool KeyWakeups::can_trust(Announcer announcer, Time now) const {
  if (rules_.mode == Mode::kSweep || !owner_.links().subscriber) return false;
  return announcer == Announcer::kTracking ? tracking_ == Tracking::kOn : now >= distrusted_until_;
}

void KeyWakeups::trust(Announcer announcer, std::string_view why) {
  if (std::exchange(trusted_, announcer) == announcer) return;
  missing_ = nullptr;  // only a trusted announcer's misses count
  owner_.on_trust_changed(why);
  sweep_later();
}

void KeyWakeups::distrust_if_missing(Time now) {
  if (always_trusts() || missing_ == nullptr || now - missing_since_ <= kAnnouncementGrace) return;
  if (trusted_ == Announcer::kNotifications) {
    distrusted_until_ = now + kDistrust;
  } else {
    has_missed_tracking_ = true;
  }
  trust(Announcer::kNobody, "a change was not announced");
}

// ---- tracking ---------------------------------------------------------------------------------------

bool KeyWakeups::wants_tracking(Time now) const {
  return rules_.mode == Mode::kAuto && trusted_ != Announcer::kNotifications && !keys_.empty() &&
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
    if (links.client_id == 0) return refuse_tracking(kNoClientId);
    tracking_ = Tracking::kAwaitingConfirmation;
    owner_.hear_invalidations();
  }
}

void KeyWakeups::on_reading_link_up(Time now) {
  tracking_ = Tracking::kOff;
  tracking_table_.reset();
  has_missed_tracking_ = false;
  if (trusted_ == Announcer::kTracking) trust(Announcer::kNobody, "the connection is new");
  update_tracking(now);
  read_all();
}

// Redis may confirm the subscription several times on one connection, because several owners ask for it.
void KeyWakeups::on_invalidations_confirmed(Time now) {
  const Links links = owner_.links();
  if (!links.reading || !wants_tracking(now)) return;
  if (tracking_ == Tracking::kOn && tracked_client_ == links.client_id) return;
  if (links.client_id == 0) return refuse_tracking(kNoClientId);
  tracking_ = Tracking::kOn;
  tracked_client_ = links.client_id;
  missing_ = nullptr;  // nothing was announced while there was no connection
  owner_.start_tracking();
  read_all();  // Redis tracks a key only from its next read on
}

void KeyWakeups::on_tracking_answered(std::string_view why_refused) {
  if (!why_refused.empty()) return refuse_tracking(why_refused);
  why_refused_.clear();
  if (tracking_ == Tracking::kOn && trusted_ == Announcer::kNobody && !has_missed_tracking_ &&
      owner_.links().subscriber) {
    trust(Announcer::kTracking, "Redis tracks the keys");
  }
}

void KeyWakeups::refuse_tracking(std::string_view why) {
  if (tracking_ == Tracking::kOn) tracking_ = Tracking::kAwaitingConfirmation;
  if (std::exchange(why_refused_, why) != why) owner_.on_tracking_refused(why);
  if (trusted_ == Announcer::kTracking) trust(Announcer::kNobody, "tracking is refused");
}

void KeyWakeups::judge_tracking_table(Time now) {
  // With a burst, a full table costs at most one read of each key a second, as without an announcer.
  if (tracking_ != Tracking::kOn || rules_.burst > 0) return;
  tracking_table_.judge(now, keys_.size());
  if (!tracking_table_.is_full(now)) return;
  owner_.end_tracking();
  refuse_tracking("Redis forgets what it tracks, see its tracking-table-max-keys");
}

// ---- the sweep --------------------------------------------------------------------------------------

void KeyWakeups::sweep_later() {
  sweep_pending_ = true;
  owner_.sweep_in(sweep_every());
}

std::chrono::milliseconds KeyWakeups::sweep_every() const {
  const bool is_trusted = trusted_ != Announcer::kNobody;
  if (rules_.checks_growth && !is_trusted) {
    return std::max(kFastSweep,
                    kFastSweep * static_cast<int>(keys_checked_) / static_cast<int>(kKeysOfFastSweep));
  }
  const milliseconds all = is_trusted ? rules_.sweep_trusted : rules_.sweep_untrusted;
  const bool may_be_rare = is_trusted && delayed_.empty();
  return std::clamp(all * kReadsOfSweep / static_cast<int>(std::max<std::size_t>(keys_.size(), 1)),
                    kShortestSweep, may_be_rare ? kLongestSweep : kLongestBusySweep);
}

void KeyWakeups::sweep(Time now) {
  sweep_pending_ = false;
  const Links links = owner_.links();
  if (!always_trusts() && !links.subscriber) {
    trust(Announcer::kNobody, "the subscriber link is down");
  }
  if ((trusted_ == Announcer::kNotifications && !links.may_hear_notifications) ||
      (trusted_ == Announcer::kTracking && !links.may_hear_invalidations)) {
    trust(Announcer::kNobody, "not permitted any more");
  }
  if (always_trusts() && links.may_hear_notifications) {
    trust(Announcer::kNotifications, "permitted again");
  }
  if (why_refused_.empty() && links.may_hear_invalidations) can_track_at_ = now;
  if (rules_.mode == Mode::kAuto && now - can_track_at_ >= kRefused &&
      !std::exchange(hears_notifications_, true)) {
    owner_.hear_notifications();
  }
  if (std::exchange(all_invalidated_, false)) {
    for (Key* key : keys_) read_announced(*key, now);
  }
  if (links.reading) {
    judge_tracking_table(now);
    update_tracking(now);
    distrust_if_missing(now);
    read_delayed(now);
    read_oldest(now);
    if (rules_.checks_growth && trusted_ == Announcer::kNobody) check_all(now);
  }
  last_sweep_ = now;
  if (!keys_.empty()) sweep_later();
}

// Reads the keys that were read longest ago.  Their number grows with the time since the last sweep, so that
// in the interval of the rules each key is read once.  This also spreads the reads of keys that were all read
// at the same time.
void KeyWakeups::read_oldest(Time now) {
  const Time::duration every = trusted_ == Announcer::kNobody ? rules_.sweep_untrusted : rules_.sweep_trusted;
  unread_ += static_cast<double>(keys_.size()) * (std::chrono::duration<double>(now - last_sweep_) / every);
  unread_ = std::min(unread_, static_cast<double>(keys_.size()));
  // Announcements or checks find the changes of busy keys.  Without both, only the sweep does, and no read is
  // too early.
  const bool only_sweeps = trusted_ == Announcer::kNobody && !rules_.checks_growth;
  const Time::duration youngest = only_sweeps ? Time::duration(0) : every / 2;
  for (auto place = keys_.begin(); unread_ >= 1 && place != keys_.end(); ++place) {
    Key& key = **place;
    if (now - key.read_began_ < youngest) {
      unread_ = 1;  // so that this key is read as soon as it is old enough
      return;
    }
    --unread_;
    const bool is_read_anyway = key.phase_ != Key::Phase::kIdle && key.phase_ != Key::Phase::kDelayed;
    if (is_read_anyway) continue;
    key.is_swept_ = true;
    read_soon(key);
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
    // The check is due half a sweep early.  Otherwise a sweep that runs slightly too early would skip the
    // key, and the key would wait for the next sweep.
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
