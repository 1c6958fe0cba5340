// KeyWakeups: decides when a watched Redis key, such as a live log, is read again.
//
// Pure.  There are two *announcers* of changes: keyspace notifications, and invalidations of keys that were
// read (CLIENT TRACKING).  A key is read when its change is announced.  An announcer is *trusted* after it
// has announced that a key grew.  While no announcer is trusted, a *fast sweep* checks keys every 21 ms.  A
// *slow sweep* reads each key that was not read for 2 s.  DESIGN.md has the state machine.  The functions of
// Owner must not call KeyWakeups.
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

  // The values of redis.wakeups in the configuration.
  enum class Mode { kAuto, kNotifications, kSweep };
  // In ascending order of preference.
  enum class Announcer { kNobody, kTracking, kNotifications };
  // The result of one read of a key.  kChanged: the key changed, but nothing was added.
  enum class ReadResult { kFailed, kUnchanged, kChanged, kGrew };

  // One watched Redis key.  The owner derives from it and adds the data that a read needs.
  class Key {
   public:
    Key() = default;
    Key(const Key&) = delete;
    Key& operator=(const Key&) = delete;
    // When the current read began, or the last read if none is under way.
    Time read_began() const { return read_began_; }

   protected:
    ~Key() = default;

   private:
    friend class KeyWakeups;
    // kDue: the key is read at the end of the turn.  kReadingStale: the key changed during the read, so it is
    // read again.
    enum class Phase { kIdle, kDue, kReading, kReadingStale };

    std::size_t index_ = 0;  // in keys_
    Phase phase_ = Phase::kIdle;
    Announcer announced_ = Announcer::kNobody;  // the announcer of a change since the last read
    bool is_swept_ = false;                     // the slow sweep ordered the next read
    bool is_checked_alone_ = false;             // because a check of several keys failed
    std::optional<Time> missed_at_;             // when the slow sweep found growth without an announcement
    Time read_began_{};
    Time last_growth_{};
    Time next_check_{};
  };

  // The state of the two links, and what Redis permits on them.
  struct Links {
    bool reading = false;        // the link that reads keys is up
    bool subscriber = false;     // the link that receives announcements is up
    bool has_client_id = false;  // the CLIENT ID of the subscriber link is known
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
    // Subscribe to invalidations, even if the subscription exists.  Call on_invalidations_confirmed() when
    // Redis has confirmed.
    virtual void hear_invalidations() = 0;
    // Start CLIENT TRACKING of the keys that the reading link reads.  Call on_tracking_answered() with the
    // answer to the latest start_tracking().
    virtual void start_tracking() = 0;
    virtual void end_tracking() = 0;
    // Call start_reads() once at the end of the turn.
    virtual void start_reads_after_turn() = 0;
    // Call sweep() once after `delay`.  Each call replaces the earlier one.
    virtual void sweep_in(std::chrono::milliseconds delay) = 0;
    // `why` is for a log line.
    virtual void on_trust_changed(Announcer announcer, std::string_view why) = 0;
    virtual void on_tracking_refused(std::string_view why) = 0;
  };

  // `growth_command`, for example "xadd", makes keys grow.  Only notifications of this command earn trust.
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
  // Redis has answered hear_invalidations(), so the subscriber link is alive and its CLIENT ID is valid.
  void on_invalidations_confirmed(Time now);
  // `why_refused` is empty if Redis tracks.
  void on_tracking_answered(std::string_view why_refused);

  // Called by the owner's timers.
  void start_reads(Time now);
  void sweep(Time now);

  // `more`: there is more to read.  Returns the announcer of the change that was read, or kNobody.
  Announcer on_read_ended(Key& key, ReadResult result, bool more, Time now);
  // Redis has answered one check.  Afterwards the owner calls read_soon() for each key that has grown.
  void on_check_ended() { --checks_under_way_; }
  // Call this for each key of a check that Redis answered with an error.  One of the keys may be the cause.
  void check_alone(Key& key) { key.is_checked_alone_ = true; }
  // Call this for the only key of a check that Redis answered without an error.
  void check_together(Key& key) { key.is_checked_alone_ = false; }

 private:
  // kAwaitingConfirmation: waits for on_invalidations_confirmed(); after a refusal, for a new connection.
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
  Time distrusted_until_{};  // notifications are not trusted before this time
  Tracking tracking_ = Tracking::kOff;
  TrackingTable tracking_table_;
  std::string why_refused_;  // the last reason that the owner got
  std::vector<Key*> keys_;
  std::vector<Key*> due_;
  bool sweep_pending_ = false;
  bool all_invalidated_ = false;  // since the last sweep
  std::size_t checks_under_way_ = 0;
  std::size_t keys_checked_ = 0;  // by the latest sweep
};

}  // namespace tailgate
