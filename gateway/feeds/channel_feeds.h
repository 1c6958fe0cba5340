// ChannelFeeds: keeps one Redis subscription for each channel that has an observer.
//
// Knows the subscriber link and the hub; knows no stream and no job.  A channel without observers stays
// subscribed for three seconds, because some clients reopen their stream on every event.  If Redis refuses
// the announcements of changed keys (notifications or invalidations), ChannelFeeds asks for them again on a
// later connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/base/lease.h"
#include "gateway/base/metrics_text.h"
#include "gateway/feeds/hub.h"
#include "gateway/redis/subscriber_link.h"

namespace tailgate {

class ChannelFeeds {
  struct Feed;

 public:
  // Called from the loop.  Inside these calls no observer may be added, removed or destroyed.
  class Observer {
   public:
    // The hub's receivers get every message that is published on the channel from now on.  Called again after
    // each loss of the link.
    virtual void on_confirmed() = 0;
    // Messages that are published from now on may get lost.
    virtual void on_unconfirmed() = 0;
    // Redis does not let this user subscribe to the channel.
    virtual void on_refused() = 0;

   protected:
    ~Observer() = default;
  };

  // Lease: an observer's interest in a channel.
  class Interest {
   public:
    Interest() = default;
    // `feeds` and `observer` must outlive the interest.
    Interest(ChannelFeeds& feeds, const std::string& channel, Observer& observer);

    // True if the channel is confirmed now.  on_confirmed() is not called for a confirmation that came before
    // the interest began.
    bool confirmed() const;

   private:
    LeaseList<Observer*>::Lease lease_;
    Feed* feed_ = nullptr;
  };

  // If Redis refuses announcements (keyspace notifications or invalidations), ChannelFeeds asks for them
  // again only on a new connection, and `refused_for` after the refusal at the earliest.
  ChannelFeeds(const Loop& loop, Resolver& resolver, const RedisRule& rule, Hub& hub,
               std::chrono::milliseconds refused_for = std::chrono::seconds(60));
  ~ChannelFeeds();
  ChannelFeeds(const ChannelFeeds&) = delete;
  ChannelFeeds& operator=(const ChannelFeeds&) = delete;

  // Called when Redis announces a change of a Redis key on the subscriber link, and when Redis has confirmed
  // that it announces changes from now on.
  struct KeyEvents {
    std::function<void(std::string_view key, std::string_view event)> on_notified = [](auto, auto) {};
    // Redis notifies of each change of the key from now on, but not of earlier changes.
    std::function<void(std::string_view key)> on_watched = [](auto) {};
    // `key`, which was read on a connection with CLIENT TRACKING and REDIRECT to client_id(), has changed.
    // If `key` is empty, any key may have changed.
    std::function<void(std::string_view key)> on_invalidated = [](auto) {};
    // on_invalidated is called for each change from now on.  Called again after each loss of the link.
    std::function<void()> on_invalidations_confirmed = [] {};
  };
  void add_key_events(KeyEvents events) { key_events_.push_back(std::move(events)); }
  // Subscribes to the keyspace notifications of one Redis key until unwatch_key().  Calls are counted,
  // because a log and a record may have the same key.
  void watch_key(const std::string& key);
  void unwatch_key(const std::string& key);
  // Subscribes to invalidations (CLIENT TRACKING with REDIRECT).  Calls on_invalidations_confirmed even if
  // the subscription exists already.
  void confirm_invalidations();
  std::int64_t client_id() const { return link_.link().client_id(); }
  // False while Redis refuses the notifications of keys to this user.
  bool may_watch_keys() const { return may_watch_keys_; }
  // False while Redis refuses the channel of invalidations to this user.
  bool may_hear_invalidations() const { return may_hear_invalidations_; }

  // See SubscriberLink.
  void retry_refused_now() { link_.retry_refused_now(); }
  void drop(const std::string& why) { link_.drop(why); }

  bool up() const { return link_.up(); }
  const RedisLink& link() const { return link_.link(); }
  void write_metrics(MetricsText& out) const;

 private:
  void on_message(std::string_view channel, std::string_view payload);
  void on_confirmed(std::string_view channel);
  void on_refused(std::string_view channel);
  void on_up();
  void on_down();
  void on_unobserved(Feed& feed);
  void unsubscribe_unobserved();

  Hub& hub_;
  const std::chrono::milliseconds refused_for_;
  std::string keyspace_prefix_;
  std::vector<KeyEvents> key_events_;
  std::unordered_map<std::string, int> keys_;  // the Redis keys that are watched, and how often
  bool may_watch_keys_ = true;
  bool may_hear_invalidations_ = true;
  TimePoint next_keys_trial_{};           // when notifications that were refused may be asked for again
  TimePoint next_invalidations_trial_{};  // the same for invalidations
  std::unordered_map<std::string, std::unique_ptr<Feed>> feeds_;
  std::vector<Feed*> unobserved_;  // feeds that lost their last observer; some may have a new observer
  std::uint64_t messages_ = 0;
  Timer unsubscribe_timer_;
  SubscriberLink link_;
};

}  // namespace tailgate
