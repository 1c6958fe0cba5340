// LogFeeds: keeps one live reader for each log that a stream follows.
//
// Publishes new entries to the hub, and reports gaps to the log's observers.  KeyWakeups decides when a live
// log is read; LogReader reads it.  Knows no stream and no route.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/lease.h"
#include "gateway/feeds/hub.h"
#include "gateway/feeds/log_reader.h"
#include "gateway/feeds/wakeup_links.h"
#include "gateway/text/text_map.h"

namespace tailgate {

class LogFeeds : private WakeupLinks::Reader {
  struct Feed;

 public:
  // Called from the loop.  Inside these calls no observer may be added, removed or destroyed.
  class Observer {
   public:
    // Entries after the last published entry may be lost.  The feed continues to read from `cursor`.
    virtual void on_gap(const LogGap& gap, const LogCursor& cursor) = 0;
    // The Redis key holds something other than a log.
    virtual void on_wrong_type() = 0;

   protected:
    ~Observer() = default;
  };

  // Lease: an observer's interest in a log.  The live reader of a log ends with its last lease.
  using Follow = LeaseList<Observer*>::Lease;

  // `reader` reads on `link`.  `wakeups` is redis.wakeups of the configuration.
  LogFeeds(const Loop& loop, RedisLink& link, LogReader& reader, ChannelFeeds& channels, Hub& hub,
           std::string_view wakeups);
  ~LogFeeds() override;
  LogFeeds(const LogFeeds&) = delete;
  LogFeeds& operator=(const LogFeeds&) = delete;

  // The hub's topic for the log's entries.  The line break distinguishes it from a channel's topic.
  static std::string topic(const std::string& key) { return "log\n" + key; }

  // The entry up to which the live reader of `key` has published; none: there is no reader.
  std::optional<EntryId> position(std::string_view key) const;
  // If `key` has no live reader yet, a new one begins at `at`.
  [[nodiscard]] Follow follow(const std::string& key, const LogCursor& at, Observer& observer);
  // Reads `key` at the end of the turn.
  void read_soon(std::string_view key);

  // Call this when the reading link has come up.  Reads all logs.
  void on_up() { wakeups_.on_up(); }

  std::size_t followed() const { return feeds_.size(); }
  // See WakeupLinks.
  std::string_view woken_by() const { return wakeups_.woken_by(); }
  void write_metrics(MetricsText& out) const;

 private:
  // WakeupLinks::Reader
  void read(WakeupLinks::Key& key) override;
  void check_for_growth(std::span<KeyWakeups::Key* const> keys) override;

  Feed* find(std::string_view key) const;
  void on_read(Feed& feed, const LogRead& read);
  void on_checked(const std::vector<std::string>& keys, const LogReader::Grown& grown);
  void on_unfollowed(Feed& feed);

  LogReader& reader_;
  Hub& hub_;
  WakeupLinks wakeups_;
  TextMap<std::unique_ptr<Feed>> feeds_;
  std::vector<RedisCall> checks_;
};

}  // namespace tailgate
