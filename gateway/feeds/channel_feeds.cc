#include "gateway/feeds/channel_feeds.h"

#include <utility>

#include "gateway/base/log.h"

namespace tailgate {

namespace {

constexpr std::chrono::seconds kKeptUnobserved{3};           // how long an unobserved channel is kept
constexpr std::chrono::milliseconds kUnsubscribeEvery{500};  // how often unobserved channels are checked

// The channel of invalidations (CLIENT TRACKING with REDIRECT).  Redis 7.0 sends invalidations even without a
// subscription to this channel, but hiredis 0.14.1 drops messages of channels to which it has not subscribed.
constexpr std::string_view kInvalidations = "__redis__:invalidate";

}  // namespace

struct ChannelFeeds::Feed {
  Feed(ChannelFeeds& its_feeds, std::string its_channel)
      : feeds(its_feeds),
        channel(std::move(its_channel)),
        observers([this] { feeds.on_unobserved(*this); }) {}

  ChannelFeeds& feeds;
  std::string channel;
  LeaseList<Observer*> observers;
  TimePoint unobserved_since{};
  bool is_listed = false;  // in unobserved_
};

ChannelFeeds::Interest::Interest(ChannelFeeds& feeds, const std::string& channel, Observer& observer) {
  std::unique_ptr<Feed>& feed = feeds.feeds_[channel];
  if (!feed) feed = std::make_unique<Feed>(feeds, channel);
  feed_ = feed.get();
  lease_ = feed_->observers.add(&observer);
  feeds.link_.subscribe(channel);
}

bool ChannelFeeds::Interest::confirmed() const {
  return lease_.active() && feed_->feeds.link_.confirmed(feed_->channel);
}

ChannelFeeds::ChannelFeeds(const Loop& loop, Resolver& resolver, const RedisRule& rule, Hub& hub,
                           std::chrono::milliseconds refused_for)
    : hub_(hub),
      refused_for_(refused_for),
      keyspace_prefix_("__keyspace@" + std::to_string(rule.database) + "__:"),
      unsubscribe_timer_(loop, [this] { unsubscribe_unobserved(); }),
      link_(loop, resolver, rule,
            {.on_up = [this] { on_up(); },
             .on_down = [this] { on_down(); },
             .on_refused = [this](std::string_view channel) { on_refused(channel); },
             .on_confirmed = [this](std::string_view channel) { on_confirmed(channel); },
             .on_message = [this](std::string_view channel,
                                  std::string_view payload) { on_message(channel, payload); }}) {
}

ChannelFeeds::~ChannelFeeds() = default;

void ChannelFeeds::watch_key(const std::string& key) {
  if (++keys_[key] == 1 && may_watch_keys_) link_.subscribe(keyspace_prefix_ + key);
}

void ChannelFeeds::unwatch_key(const std::string& key) {
  const auto found = keys_.find(key);
  if (found == keys_.end() || --found->second > 0) return;
  keys_.erase(found);
  link_.unsubscribe(keyspace_prefix_ + key);
}

void ChannelFeeds::confirm_invalidations() {
  if (may_hear_invalidations_) link_.confirm_again(std::string(kInvalidations));
}

void ChannelFeeds::on_message(std::string_view channel, std::string_view payload) {
  if (channel.starts_with(keyspace_prefix_)) {
    const std::string_view key = channel.substr(keyspace_prefix_.size());
    for (const KeyEvents& events : key_events_) events.on_notified(key, payload);
    return;
  }
  if (channel == kInvalidations) {
    for (const KeyEvents& events : key_events_) events.on_invalidated(payload);
    return;
  }
  ++messages_;
  hub_.publish(channel, payload);
}

void ChannelFeeds::on_confirmed(std::string_view channel) {
  if (channel.starts_with(keyspace_prefix_)) {
    if (!std::exchange(may_watch_keys_, true)) {
      for (const auto& [key, count] : keys_) link_.subscribe_refused(keyspace_prefix_ + key);
    }
    for (const KeyEvents& events : key_events_) events.on_watched(channel.substr(keyspace_prefix_.size()));
    return;
  }
  if (channel == kInvalidations) {
    may_hear_invalidations_ = true;
    for (const KeyEvents& events : key_events_) events.on_invalidations_confirmed();
    return;
  }
  const auto found = feeds_.find(std::string(channel));
  if (found == feeds_.end()) return;
  // on_confirmed() must come after the messages that arrived before the confirmation.
  hub_.flush(channel);
  found->second->observers.for_each([](Observer* observer) { observer->on_confirmed(); });
}

void ChannelFeeds::on_refused(std::string_view channel) {
  if (channel == kInvalidations) {
    may_hear_invalidations_ = false;
    next_invalidations_trial_ = Loop::now() + refused_for_;
    link_.unsubscribe(std::string(kInvalidations));
    log_warning("log.wakeups_refused",
                {{"of", "tracking"}, {"why", "NOPERM " + std::string(kInvalidations)}});
    return;
  }
  // A user who may not subscribe to one key's notifications is assumed to lack the right for all keys.
  if (channel.starts_with(keyspace_prefix_)) {
    may_watch_keys_ = false;
    next_keys_trial_ = Loop::now() + refused_for_;
    for (const auto& [key, count] : keys_) link_.unsubscribe(keyspace_prefix_ + key);
    log_warning("log.wakeups_refused", {{"of", "notifications"}, {"why", "NOPERM " + keyspace_prefix_}});
    return;
  }
  static LogValve valve(5, 1);
  if (valve.open(Loop::now())) {
    log_error("channel.refused",
              {{"channel", channel}, {"why", "NOPERM"}, {"held_back", valve.take_held_back()}});
  }
  const auto found = feeds_.find(std::string(channel));
  if (found == feeds_.end()) return;
  hub_.flush(channel);
  found->second->observers.for_each([](Observer* observer) { observer->on_refused(); });
}

// Asks again for the announcements that Redis refused, because an operator may have granted the right since.
// A refusal costs the connection.  So Tailgate asks only just after a reconnect, before any stream's channel
// is confirmed.  If Redis refuses again, the streams wait for the next connection.  Each stream still gets
// only one `resync`.
void ChannelFeeds::on_up() {
  const TimePoint now = Loop::now();
  if (!may_watch_keys_ && !keys_.empty() && now >= next_keys_trial_) {
    link_.subscribe_refused(keyspace_prefix_ + keys_.begin()->first);
  }
  if (!may_hear_invalidations_ && now >= next_invalidations_trial_) {
    link_.subscribe_refused(std::string(kInvalidations));
  }
}

void ChannelFeeds::on_down() {
  hub_.flush();
  for (const auto& [channel, feed] : feeds_) {
    feed->observers.for_each([](Observer* observer) { observer->on_unconfirmed(); });
  }
}

void ChannelFeeds::write_metrics(MetricsText& out) const {
  out.gauge("tailgate_channels_watched", "Redis channels that are subscribed to for streams.", feeds_.size());
  out.counter("tailgate_messages_received_total", "Messages received on channels.", messages_);
}

void ChannelFeeds::on_unobserved(Feed& feed) {
  feed.unobserved_since = Loop::now();
  if (!std::exchange(feed.is_listed, true)) unobserved_.push_back(&feed);
  if (!unsubscribe_timer_.pending()) unsubscribe_timer_.after(kUnsubscribeEvery);
}

void ChannelFeeds::unsubscribe_unobserved() {
  const TimePoint now = Loop::now();
  std::erase_if(unobserved_, [&](Feed* feed) {
    feed->is_listed = feed->observers.empty() && now - feed->unobserved_since < kKeptUnobserved;
    if (feed->is_listed) return false;
    if (feed->observers.empty()) {
      link_.unsubscribe(feed->channel);
      feeds_.erase(feeds_.find(feed->channel));
    }
    return true;
  });
  if (!unobserved_.empty()) unsubscribe_timer_.after(kUnsubscribeEvery);
}

}  // namespace tailgate
