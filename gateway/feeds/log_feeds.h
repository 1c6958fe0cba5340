// LogFeeds: one live reader for each log that somebody watches.
//
// Knows how a log's growth is noticed, reads it and publishes it to the hub; knows no
// stream.  A log is woken by keyspace notifications where they arrive (Kt), else by invalidations where Redis
// tracks what we read (from 6.0 on), and swept besides: often while neither has proven itself, rarely once
// one came before the sweep.  Nothing is configured in Redis, and no CONFIG is asked for.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/feeds/channel_feeds.h"
#include "gateway/feeds/hub.h"
#include "gateway/feeds/log_reader.h"
#include "gateway/feeds/tracking_room.h"

namespace tailgate {

class LogFeeds {
  struct Feed;

 public:
  // Called from the loop; in neither may a observer die or another come or go.
  class Observer {
   public:
    // Entries behind what the feed has delivered are lost; it reads on from `cursor`.
    virtual void on_gap(const LogGap& gap, const LogCursor& cursor) = 0;
    // The key holds something that is no log.
    virtual void on_wrong_type() = 0;

   protected:
    ~Observer() = default;
  };

  // The interest in a log; ends when it dies.
  class Follow {
   public:
    Follow() = default;
    Follow(Follow&& other) noexcept;
    Follow& operator=(Follow&& other) noexcept;
    ~Follow();
    bool active() const { return feeds_ != nullptr; }

   private:
    friend class LogFeeds;
    LogFeeds* feeds_ = nullptr;
    Feed* feed_ = nullptr;
    Observer* observer_ = nullptr;
    std::size_t index_ = 0;
  };

  LogFeeds(const Loop& loop, LogReader& reader, ChannelFeeds& channels, Hub& hub, const std::string& wakeups);
  ~LogFeeds();
  LogFeeds(const LogFeeds&) = delete;
  LogFeeds& operator=(const LogFeeds&) = delete;

  // The hub's topic for a log's entries; no channel has such a name.
  static std::string topic(const std::string& key) { return "log\n" + key; }

  // How far the live reader of `key` has published, if there is one.
  std::optional<EntryId> position(const std::string& key) const;
  // Where there is no live reader yet, one begins at `at`.
  [[nodiscard]] Follow follow(const std::string& key, const LogCursor& at, Observer& observer);
  // Reads `key` now, whatever the notifications say.
  void kick(const std::string& key);

  // The reading link is up again: everything is read anew.
  void on_up();

  std::size_t followed() const { return feeds_.size(); }
  // What wakes the readers: "notifications", "tracking" or "sweep".
  std::string_view woken_by() const;

 private:
  enum class Wakeups { kAuto, kNotifications, kSweep };
  // Who says that a log has grown, in ascending order of preference.
  enum class Announcer { kNobody, kTracking, kNotifications };

  void on_notified(std::string_view key, std::string_view event);
  void on_announced(std::string_view key, Announcer by);
  void on_invalidated(std::string_view key);
  Announcer credible(Announcer by, TimePoint now) const;
  bool wants_tracking() const;
  void update_tracking();
  // Where the subscriber link has none it is told, and nothing can be redirected to it.
  bool has_client_id();
  void on_hearing();
  void refused(std::string_view why);
  void check_room(TimePoint now);
  void read_all();
  void read(Feed& feed);
  void on_read(Feed& feed, const LogRead& read);
  void read_dirty();
  void mark_dirty(Feed& feed);
  void sweep();
  void peek(TimePoint now);
  void peek(std::span<const Feed* const> feeds);
  void trust(Announcer by, const char* why);
  std::chrono::milliseconds sweep_interval() const;
  void leave(Follow& follow);

  LogReader& reader_;
  ChannelFeeds& channels_;
  Hub& hub_;
  Wakeups wakeups_;
  Announcer by_;                    // has proven itself
  TimePoint notifications_from_{};  // not before this they are believed again
  bool asked_ = false;    // to hear invalidations, since tracking was wanted and the reading link new
  bool tracked_ = false;  // Redis has been asked to track what the reading link reads, and has not refused
  TrackingRoom room_;
  std::string why_refused_;
  RedisCall tracking_;
  std::unordered_map<std::string, std::unique_ptr<Feed>> feeds_;
  std::vector<Feed*> dirty_;
  std::vector<RedisCall> peeks_;
  std::size_t peeked_ = 0;  // how many were asked about the last time
  Timer flushed_;
  Timer sweep_;
  TurnEnd turn_end_;
};

}  // namespace tailgate
