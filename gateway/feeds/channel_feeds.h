// ChannelFeeds: one Redis subscription for each channel that somebody watches.
//
// Knows the subscriber link and the hub; knows no stream and no job.  A channel that
// nobody watches any more stays subscribed for a moment, because some clients reopen their stream on
// every event.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "gateway/base/metrics_text.h"
#include "gateway/feeds/hub.h"
#include "gateway/redis/read_rest.h"
#include "gateway/redis/subscriber_link.h"

namespace tailgate {

class ChannelFeeds {
  struct Feed;

 public:
  // Called from the loop; in none may a observer die or another come or go.
  class Observer {
   public:
    // What is published on the channel from now on reaches the hub's listeners.  Comes again after each
    // loss of the link.
    virtual void on_confirmed() = 0;
    // What is published from now on may be missed.
    virtual void on_unconfirmed() = 0;
    // Redis does not let us listen to this channel.
    virtual void on_refused() = 0;

   protected:
    ~Observer() = default;
  };

  // The interest in a channel; ends when it dies.
  class Interest {
   public:
    Interest() = default;
    Interest(ChannelFeeds& feeds, const std::string& channel, Observer& observer);
    Interest(Interest&& other) noexcept;
    Interest& operator=(Interest&& other) noexcept;
    ~Interest();

    // Is it confirmed at this moment?  If so, on_confirmed() has not been and will not be called for it.
    bool confirmed() const;

   private:
    friend class ChannelFeeds;
    ChannelFeeds* feeds_ = nullptr;
    Feed* feed_ = nullptr;
    Observer* observer_ = nullptr;
    std::size_t index_ = 0;
  };

  ChannelFeeds(const Loop& loop, Resolver& resolver, const RedisRule& rule, Hub& hub);
  ~ChannelFeeds();
  ChannelFeeds(const ChannelFeeds&) = delete;
  ChannelFeeds& operator=(const ChannelFeeds&) = delete;

  // What Redis says of keys shares the link: it is nobody's stream.
  struct KeyEvents {
    // The link is up again, with another client_id().
    std::function<void()> on_up;
    std::function<void(std::string_view key, std::string_view event)> on_notified;
    // From here on a change of the key is notified; what came before it was not.
    std::function<void(std::string_view key)> on_watched;
    // A key has changed that a link had read which redirects to client_id(); an empty one: any of them may
    // have.
    std::function<void(std::string_view key)> on_invalidated;
    // The link lives, and from here on such changes are told.  Comes again after each loss of the link.
    std::function<void()> on_hearing;
  };
  void set_key_events(KeyEvents events) { key_events_ = std::move(events); }
  // Keyspace notifications of one key.
  void watch_key(const std::string& key);
  void unwatch_key(const std::string& key);
  // Invalidations (CLIENT TRACKING) of whatever is read by a link that redirects to this one: on_hearing
  // comes, even if they are heard already.
  void hear_invalidations();
  // What Redis calls the link: 0 while it is not up, or when Redis does not say.
  std::int64_t client_id() const { return link_.link().client_id(); }
  // In how much time half of all lines are to be with their clients.
  void set_half_of_lines(std::chrono::microseconds half) { rest_.set_half_of_lines(half); }
  // An announcement of a key had us ask Redis, which took so long to answer and brought so many lines.
  void note_lines(std::size_t lines, Clock::duration took) {
    rest_.count_lines(lines);
    rest_.note_answer(took);
  }
  // False once Redis has refused this user a notification's channel: from then on none is asked for.
  bool may_watch_keys() const { return may_watch_keys_; }
  bool may_hear_invalidations() const { return may_hear_invalidations_; }

  bool up() const { return link_.up(); }
  bool more_coming() { return link_.more_coming(); }
  const RedisLink& link() const { return link_.link(); }
  void write_metrics(MetricsText& out) const;

 private:
  void on_message(std::string_view channel, std::string_view payload);
  void on_confirmed(std::string_view channel);
  void on_refused(std::string_view channel);
  void on_down();
  void leave(Interest& interest);
  void sweep();

  Hub& hub_;
  std::string keyspace_prefix_;
  KeyEvents key_events_;
  std::unordered_set<std::string> keys_;  // watched
  bool may_watch_keys_ = true;
  bool may_hear_invalidations_ = true;
  std::unordered_map<std::string, std::unique_ptr<Feed>> feeds_;
  std::vector<Feed*> left_;  // those without a observer, and some that have one again
  std::uint64_t messages_ = 0;
  ReadRest rest_;
  Timer sweep_;
  SubscriberLink link_;
};

}  // namespace tailgate
