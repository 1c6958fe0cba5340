// KeyWakeups: decides when a watched Redis key is read again, because it may have changed.
//
// Pure.  Redis can announce a change in two ways: by a keyspace notification, and by an invalidation of a key
// that was read (CLIENT TRACKING).  KeyWakeups trusts a way only after it has announced growth; until then it
// checks all keys every 21 ms.  Knows no command, no link and no value of a key.  DESIGN.md has the state
// machine. The owner calls nothing here from inside the functions of Owner.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/feeds/tracking_table.h"

namespace tailgate {

class KeyWakeups {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // redis.wakeups
  enum class Mode { kAuto, kNotifications, kSweep };
  // What announces that a key has changed, in ascending order of preference.
  enum class Announcer { kNobody, kTracking, kNotifications };
  // How one read of a key ended.  kChanged: it changed, but nothing was added.
  enum class ReadResult { kFailed, kUnchanged, kChanged, kGrew };

  // One watched key.  The owner derives from it and adds what a read needs.
  class Key {
   public:
    Key() = default;
    Key(const Key&) = delete;
    Key& operator=(const Key&) = delete;
    // When the read that is under way, or the last one, began.
    Time read_began() const { return read_began_; }

   protected:
    ~Key() = default;

   private:
    friend class KeyWakeups;
    // kDue: read at the end of the turn.  kReadingStale: it changed while it was being read, so it is read
    // again.
    enum class Phase { kIdle, kDue, kReading, kReadingStale };

    std::size_t index_ = 0;  // in keys_
    Phase phase_ = Phase::kIdle;
    Announcer announced_ = Announcer::kNobody;  // since the last read
    bool is_swept_ = false;                     // the next read was ordered by the slow sweep
    bool is_checked_alone_ = false;             // Redis answered a check of several keys with an error
    std::optional<Time> missed_at_;             // when the slow sweep found growth that nobody had announced
    Time read_began_{};
    Time last_growth_{};
    Time next_check_{};
  };

  // The state of the two links and the rights on them.
  struct Links {
    bool reading = false;        // the link that reads keys is up
    bool subscriber = false;     // the link that hears announcements is up
    bool has_client_id = false;  // … and Redis has told us its CLIENT ID
    bool may_hear_notifications = true;
    bool may_hear_invalidations = true;
  };

  // Owns the links and the timers, and does what KeyWakeups decides.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual Links links() const = 0;
    // Begin to read `key`; on_read_ended() must follow.  Only while the reading link is up.
    virtual void read(Key& key) = 0;
    // Ask in one command which of `keys` have grown; on_check_ended() must follow.
    virtual void check_for_growth(std::span<Key* const> keys) = 0;
    // Subscribe to invalidations, even if that is done already; on_invalidations_confirmed() follows.
    virtual void hear_invalidations() = 0;
    // Have Redis track what the reading link reads, or end that.  on_tracking_answered() follows
    // start_tracking(); only the answer to the latest call counts.
    virtual void start_tracking() = 0;
    virtual void end_tracking() = 0;
    // Call start_reads() once at the end of the turn.
    virtual void start_reads_after_turn() = 0;
    // Call sweep() once after `delay`, and not at the time that was set before.
    virtual void sweep_in(std::chrono::milliseconds delay) = 0;
    // For the log.
    virtual void on_trust_changed(Announcer announcer, std::string_view why) = 0;
    virtual void on_tracking_refused(std::string_view why) = 0;
  };

  // `growth_command`: the only command whose notification proves that growth is notified, for example "xadd".
  KeyWakeups(Owner& owner, Mode mode, std::string growth_command);

  // Reads `key` at the end of the turn, then whenever it may have changed.
  void watch(Key& key, Time now);
  void unwatch(Key& key);
  bool wants_notifications() const { return mode_ != Mode::kSweep; }
  Announcer trusted() const { return trusted_; }

  // `key` may have changed: it is read at the end of the turn, or again if a read is under way.
  void read_soon(Key& key);
  void on_notified(Key& key, std::string_view command);
  void on_invalidated(Key& key) { on_announced(key, Announcer::kTracking); }
  // FLUSHALL or FLUSHDB: Redis names no key.
  void on_all_invalidated();

  void on_reading_link_up(Time now);
  // Redis has answered hear_invalidations(): the subscriber link lives, and its CLIENT ID is its own.
  void on_invalidations_confirmed(Time now);
  // `why_refused` is empty if Redis tracks.
  void on_tracking_answered(std::string_view why_refused);

  // What the owner's timers call.
  void start_reads(Time now);
  void sweep(Time now);

  // `more`: there is more to read.  Returns who had announced a change.
  Announcer on_read_ended(Key& key, ReadResult result, bool more, Time now);
  // One check has been answered.  The owner calls read_soon() for each key that has grown …
  void on_check_ended() { --checks_under_way_; }
  // … or this, if Redis answered with an error: one of several keys was to blame.
  void check_alone(Key& key) { key.is_checked_alone_ = true; }

 private:
  // kAwaitingConfirmation also after a refusal: only a new connection may change that.
  enum class Tracking { kOff, kAwaitingConfirmation, kOn };

  void on_announced(Key& key, Announcer announcer);
  bool can_trust(Announcer announcer, Time now) const;
  bool wants_tracking(Time now) const;
  void update_tracking(Time now);
  void refuse_tracking(std::string_view why);
  void judge_tracking_table(Time now);
  void trust(Announcer announcer, std::string_view why);
  void read_all();
  void sweep_later();
  void sweep_slowly(Time now);
  void check_all(Time now);

  Owner& owner_;
  const Mode mode_;
  const std::string growth_command_;
  Announcer trusted_;
  Time notifications_believed_from_{};
  Tracking tracking_ = Tracking::kOff;
  TrackingTable tracking_table_;
  std::string why_refused_;  // the reason that was reported last
  std::vector<Key*> keys_;
  std::vector<Key*> due_;
  bool sweep_pending_ = false;
  bool all_invalidated_ = false;  // since the last sweep
  std::size_t checks_under_way_ = 0;
  std::size_t keys_checked_ = 0;  // by the latest sweep
};

}  // namespace tailgate
