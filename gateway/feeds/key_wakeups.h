// KeyWakeups: decides when a watched Redis key, such as a live log or a job's record, is read again.
//
// Pure.  There are two *announcers* of changes: keyspace notifications, and invalidations of keys that were
// read (CLIENT TRACKING).  A key is read when its change is announced.  Notifications are *trusted* after one
// has announced a change, tracking as soon as Redis has accepted it.  A *sweep* reads the keys that were read
// longest ago.  While no announcer is trusted, it reads more often, or checks for growth.  DESIGN.md has the
// state machine.  The functions of Owner must not call KeyWakeups.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/feeds/tracking_table.h"

namespace tailgate {

class KeyWakeups {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // The values of redis.wakeups in the configuration.
  enum class Mode { kAuto, kNotifications, kSweep };
  // In ascending order of preference, unless the rules prefer tracking.
  enum class Announcer { kNobody, kTracking, kNotifications };
  // The result of one read of a key.  kWritten: one of Rules::commands may have changed the key.  kChanged:
  // it changed in another way; for example, it was deleted.
  enum class ReadResult { kFailed, kUnchanged, kChanged, kWritten };

  // How the keys of one owner are read.
  struct Rules {
    Mode mode = Mode::kAuto;
    // Only notifications of these commands earn trust.  A server may be configured to notify of some commands
    // only: a notification of EXPIRE does not prove that Redis notifies of XADD.
    std::vector<std::string> commands;
    // In the mode kNotifications, trust notifications whenever Redis permits them.
    bool always_trusts_notifications = false;
    // In the mode kAuto, subscribe to notifications only if Redis refuses tracking, and trust them only while
    // tracking is not trusted.
    bool prefers_tracking = false;
    // While no announcer is trusted, check keys for growth (see kFastSweep).
    bool checks_growth = false;
    // The sweep reads a key about this long after its last read.
    std::chrono::milliseconds sweep_trusted{0};    // while an announcer is trusted
    std::chrono::milliseconds sweep_untrusted{0};  // while none is
    // How many announced changes of a key are read without delay; further ones, one a second.  0: none
    // is delayed.
    int burst = 0;
  };

  // One watched Redis key.  A class derived from it has the data that a read needs.
  class Key {
   public:
    Key() = default;
    Key(const Key&) = delete;
    Key& operator=(const Key&) = delete;

   protected:
    ~Key() = default;

   private:
    friend class KeyWakeups;
    // kDelayed: the key was read too often, see Rules::burst.  kDue: the key is read at the end of the turn.
    // kReadingStale: the key changed during the read, so it is read again.
    enum class Phase { kIdle, kDelayed, kDue, kReading, kReadingStale };

    std::list<Key*>::iterator place_;  // in keys_
    Phase phase_ = Phase::kIdle;
    Announcer announced_ = Announcer::kNobody;  // the announcer of a change since the last read
    bool is_swept_ = false;                     // the sweep ordered the next read
    bool is_checked_alone_ = false;             // because a check of several keys failed
    Time read_began_{};
    Time last_growth_{};
    Time next_check_{};
    Time delayed_until_{};    // in kDelayed: when the key is read
    Time allowance_began_{};  // each full second since then permits one read
  };

  // The state of the two links, and what Redis permits on them.
  struct Links {
    bool reading = false;        // the link that reads keys is up
    bool subscriber = false;     // the link that receives announcements is up
    std::int64_t client_id = 0;  // the CLIENT ID of the subscriber link; 0: not known
    bool may_hear_notifications = true;
    bool may_hear_invalidations = true;
  };

  // Owns the links and the timers, and does what KeyWakeups decides.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual Links links() const = 0;
    // Begin to read `key`; on_read_ended() must follow.  Called only while the reading link is up.
    virtual void read(Key& key) = 0;
    // Ask in one command which of `keys` have grown; on_check_ended() must follow.
    virtual void check_for_growth(std::span<Key* const> keys) = 0;
    // Subscribe to the notifications of all watched keys and, from now on, of each new one.
    virtual void hear_notifications() = 0;
    // Subscribe to invalidations, even if the subscription exists.  Call on_invalidations_confirmed() when
    // Redis has confirmed.
    virtual void hear_invalidations() = 0;
    // Start CLIENT TRACKING of the keys that the reading link reads.  Call on_tracking_answered() with the
    // answer to the latest start_tracking().
    virtual void start_tracking() = 0;
    virtual void end_tracking() = 0;
    // Call start_reads() once, at the end of this turn of the loop or in the next turn.
    virtual void start_reads_after_turn() = 0;
    virtual void start_reads_next_turn() = 0;
    // Call sweep() once after `delay`.  Each call replaces the earlier one.
    virtual void sweep_in(std::chrono::milliseconds delay) = 0;
    // `why` is for a log line.
    virtual void on_trust_changed(std::string_view why) = 0;
    virtual void on_tracking_refused(std::string_view why) = 0;
  };

  KeyWakeups(Owner& owner, Rules rules);

  // `key` counts as read just now.
  void watch(Key& key, Time now);
  void unwatch(Key& key);
  // True if the owner subscribes to the notifications of new keys.
  bool hears_notifications() const { return hears_notifications_; }
  Announcer trusted() const { return trusted_; }

  // `key` may have changed: it is read at the end of the turn, or again if a read is under way.
  void read_soon(Key& key);
  void on_notified(Key& key, std::string_view command, Time now);
  void on_invalidated(Key& key, Time now) { on_announced(key, Announcer::kTracking, now); }
  // Redis sent an invalidation without a key (FLUSHALL or FLUSHDB), so any key may have changed.
  void on_all_invalidated();

  void on_reading_link_up(Time now);
  // Redis has confirmed the subscription to invalidations, so the subscriber link is alive and its CLIENT ID
  // is valid.
  void on_invalidations_confirmed(Time now);
  // `why_refused` is empty if Redis has accepted CLIENT TRACKING.
  void on_tracking_answered(std::string_view why_refused);

  // Called by the owner's timers.
  void start_reads(Time now);
  void sweep(Time now);

  // `more`: there is more to read.
  void on_read_ended(Key& key, ReadResult result, bool more, Time now);
  // One check has ended, with or without an answer of Redis.  Afterwards the owner calls read_soon() for each
  // key that has grown.
  void on_check_ended() { --checks_under_way_; }
  // Call this for each key of a check that Redis answered with an error.  One of the keys may be the cause.
  void check_alone(Key& key) { key.is_checked_alone_ = true; }
  // Call this for the only key of a check that ended without an error.
  void check_together(Key& key) { key.is_checked_alone_ = false; }

 private:
  // kAwaitingConfirmation: waits for on_invalidations_confirmed(); after a refusal, for a new connection.
  enum class Tracking { kOff, kAwaitingConfirmation, kOn };

  bool always_trusts() const {
    return rules_.mode == Mode::kNotifications && rules_.always_trusts_notifications;
  }
  void on_announced(Key& key, Announcer announcer, Time now);
  void read_announced(Key& key, Time now);
  bool can_trust(Announcer announcer, Time now) const;
  void trust(Announcer announcer, std::string_view why);
  void distrust_if_missing(Time now);
  bool wants_tracking(Time now) const;
  void update_tracking(Time now);
  void refuse_tracking(std::string_view why);
  void judge_tracking_table(Time now);
  void read_all();
  void sweep_later();
  std::chrono::milliseconds sweep_every() const;
  void read_delayed(Time now);
  void read_oldest(Time now);
  void check_all(Time now);

  Owner& owner_;
  const Rules rules_;
  Announcer trusted_;
  bool hears_notifications_;
  Time can_track_at_{};               // when a sweep last found that tracking is not refused
  Time distrusted_until_{};           // notifications are not trusted before this time
  bool has_missed_tracking_ = false;  // an invalidation was missing on this connection
  Key* missing_ = nullptr;            // the sweep found this key written, without an announcement
  Time missing_since_{};
  Tracking tracking_ = Tracking::kOff;
  std::int64_t tracked_client_ = 0;  // the client id of the latest start_tracking()
  TrackingTable tracking_table_;
  std::string why_refused_;  // last given to on_tracking_refused(); empty: Redis has accepted tracking since
  std::list<Key*> keys_;     // in the order of their last reads
  std::deque<Key*> due_;
  std::set<std::pair<Time, Key*>> delayed_;
  bool sweep_pending_ = false;
  bool all_invalidated_ = false;  // since the last sweep
  Time last_sweep_{};
  double unread_ = 0;  // how many keys the sweep should have read by now, less those that it has read
  std::size_t checks_under_way_ = 0;
  std::size_t keys_checked_ = 0;  // by the latest sweep
};

}  // namespace tailgate
