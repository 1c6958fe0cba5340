// WakeupLinks: connects a KeyWakeups to Redis and to the loop.
//
// Knows CLIENT TRACKING, the link that reads the keys, and ChannelFeeds, which receives announcements.  The
// reader of the keys (LogFeeds for logs, JobRecords for records) begins the reads.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/metrics_text.h"
#include "gateway/feeds/channel_feeds.h"
#include "gateway/feeds/key_wakeups.h"
#include "gateway/loop/loop.h"
#include "gateway/redis/link.h"
#include "gateway/text/text_map.h"

namespace tailgate {

class WakeupLinks final : private KeyWakeups::Owner {
 public:
  // A watched Redis key.
  struct Key : KeyWakeups::Key {
    explicit Key(std::string its_name) : name(std::move(its_name)) {}
    const std::string name;
  };

  // Called from the loop, never inside a call of WakeupLinks.
  class Reader {
   public:
    virtual ~Reader() = default;
    // Begin to read `key`; WakeupLinks::on_read_ended() must follow.  Called only while the link is up.
    virtual void read(Key& key) = 0;
    // See KeyWakeups::Owner.  Called only with Rules::checks_growth.
    virtual void check_for_growth(std::span<KeyWakeups::Key* const> /*keys*/) {}
  };

  // What the keys hold, for log lines and metrics.
  enum class Kind { kLog, kRecord };

  // `link` reads the keys.
  WakeupLinks(const Loop& loop, RedisLink& link, ChannelFeeds& channels, KeyWakeups::Rules rules, Kind kind,
              Reader& reader);
  ~WakeupLinks() override;
  WakeupLinks(const WakeupLinks&) = delete;
  WakeupLinks& operator=(const WakeupLinks&) = delete;

  // The value of redis.wakeups as a mode.
  static KeyWakeups::Mode mode_of(std::string_view wakeups);

  // `key` counts as read just now.
  void watch(Key& key);
  void unwatch(Key& key);
  // See KeyWakeups.
  void read_soon(Key& key) { wakeups_.read_soon(key); }
  void on_read_ended(Key& key, KeyWakeups::ReadResult result, bool more = false) {
    wakeups_.on_read_ended(key, result, more, Loop::now());
  }
  KeyWakeups& wakeups() { return wakeups_; }

  // Call this when `link` has come up.  Reads all keys.
  void on_up() { wakeups_.on_reading_link_up(Loop::now()); }

  // The announcer that is trusted: "notifications" or "tracking"; "sweep" if none is.
  std::string_view woken_by() const;
  void write_metrics(MetricsText& out) const;

 private:
  // KeyWakeups::Owner
  KeyWakeups::Links links() const override;
  void read(KeyWakeups::Key& key) override { reader_.read(static_cast<Key&>(key)); }
  void check_for_growth(std::span<KeyWakeups::Key* const> keys) override { reader_.check_for_growth(keys); }
  void hear_notifications() override;
  void hear_invalidations() override { channels_.confirm_invalidations(); }
  void start_tracking() override;
  void end_tracking() override;
  void start_reads_after_turn() override { turn_end_.ask(); }
  void start_reads_next_turn() override { next_turn_.after(std::chrono::microseconds(0)); }
  void sweep_in(std::chrono::milliseconds delay) override { sweep_.after(delay); }
  void on_trust_changed(std::string_view why) override;
  void on_tracking_refused(std::string_view why) override;

  // Calls `call` for each watched key of this name.
  template <typename Call>
  void for_each(std::string_view name, const Call& call);

  RedisLink& link_;
  ChannelFeeds& channels_;
  const Kind kind_;
  Reader& reader_;
  KeyWakeups wakeups_;
  TextMap<std::vector<Key*>> keys_;  // by their names; two rules may read records from one Redis key
  RedisCall tracking_;  // the latest CLIENT TRACKING; replacing it drops the answer to the earlier one
  Timer sweep_;
  Timer next_turn_;
  TurnEnd turn_end_;
};

}  // namespace tailgate
