#include "gateway/feeds/channel_feeds.h"

#include <utility>

#include "gateway/base/log.h"

namespace tailgate {

namespace {

constexpr std::chrono::seconds kLinger{3};
constexpr std::chrono::milliseconds kSweep{500};

// Where Redis tells a client of invalidations (CLIENT TRACKING … REDIRECT).  It does so without a
// subscription (7.0), but hiredis 0.14.1 drops what comes on a channel to which it has not subscribed.
constexpr std::string_view kInvalidations = "__redis__:invalidate";

}  // namespace

struct ChannelFeeds::Feed {
  std::string channel;
  std::vector<Interest*> interests;
  TimePoint left_at{};   // by the last observer
  bool is_left = false;  // stands in left_
};

ChannelFeeds::Interest::Interest(ChannelFeeds& feeds, const std::string& channel, Observer& observer)
    : feeds_(&feeds), observer_(&observer) {
  std::unique_ptr<Feed>& slot = feeds.feeds_[channel];
  if (!slot) slot = std::make_unique<Feed>(Feed{.channel = channel, .interests = {}});
  feed_ = slot.get();
  index_ = feed_->interests.size();
  feed_->interests.push_back(this);
  feeds.link_.subscribe(channel);
}

ChannelFeeds::Interest::Interest(Interest&& other) noexcept {
  *this = std::move(other);
}

ChannelFeeds::Interest& ChannelFeeds::Interest::operator=(Interest&& other) noexcept {
  if (this == &other) return *this;
  if (feeds_ != nullptr) feeds_->leave(*this);
  feeds_ = std::exchange(other.feeds_, nullptr);
  feed_ = other.feed_;
  observer_ = other.observer_;
  index_ = other.index_;
  if (feeds_ != nullptr) feed_->interests[index_] = this;
  return *this;
}

ChannelFeeds::Interest::~Interest() {
  if (feeds_ != nullptr) feeds_->leave(*this);
}

bool ChannelFeeds::Interest::confirmed() const {
  return feeds_ != nullptr && feeds_->link_.confirmed(feed_->channel);
}

ChannelFeeds::ChannelFeeds(const Loop& loop, Resolver& resolver, const RedisRule& rule, Hub& hub)
    : hub_(hub),
      keyspace_prefix_("__keyspace@" + std::to_string(rule.database) + "__:"),
      sweep_(loop, [this] { sweep(); }),
      link_(loop, resolver, rule,
            {.on_up =
                 [this] {
                   if (key_events_.on_up) key_events_.on_up();
                 },
             .on_down = [this] { on_down(); },
             .on_refused = [this](std::string_view channel) { on_refused(channel); },
             .on_confirmed = [this](std::string_view channel) { on_confirmed(channel); },
             .on_message = [this](std::string_view channel,
                                  std::string_view payload) { on_message(channel, payload); },
             .rest = [this] { return rest_.rest(Loop::now()); }}) {
}

ChannelFeeds::~ChannelFeeds() = default;

void ChannelFeeds::watch_key(const std::string& key) {
  if (!may_watch_keys_) return;
  keys_.insert(key);
  link_.subscribe(keyspace_prefix_ + key);
}

void ChannelFeeds::unwatch_key(const std::string& key) {
  if (keys_.erase(key) > 0) link_.unsubscribe(keyspace_prefix_ + key);
}

void ChannelFeeds::hear_invalidations() {
  if (may_hear_invalidations_) link_.confirm_anew(std::string(kInvalidations));
}

void ChannelFeeds::on_message(std::string_view channel, std::string_view payload) {
  if (channel.starts_with(keyspace_prefix_)) {
    if (key_events_.on_notified) key_events_.on_notified(channel.substr(keyspace_prefix_.size()), payload);
    return;
  }
  if (channel == kInvalidations) {
    if (key_events_.on_invalidated) key_events_.on_invalidated(payload);
    return;
  }
  rest_.count_message();
  ++messages_;
  hub_.publish(channel, payload);
}

void ChannelFeeds::on_confirmed(std::string_view channel) {
  if (channel.starts_with(keyspace_prefix_)) {
    if (key_events_.on_watched) key_events_.on_watched(channel.substr(keyspace_prefix_.size()));
    return;
  }
  if (channel == kInvalidations) {
    if (key_events_.on_hearing) key_events_.on_hearing();
    return;
  }
  const auto found = feeds_.find(std::string(channel));
  if (found == feeds_.end()) return;
  // What came before the confirmation is not part of what follows it.
  hub_.flush(channel);
  for (const Interest* interest : found->second->interests) interest->observer_->on_confirmed();
}

void ChannelFeeds::on_refused(std::string_view channel) {
  if (channel == kInvalidations) {
    may_hear_invalidations_ = false;
    link_.unsubscribe(std::string(kInvalidations));
    log_warning("log.wakeups_refused",
                {{"of", "tracking"}, {"why", "NOPERM " + std::string(kInvalidations)}});
    return;
  }
  // One that may not have one notification may have none, and they are what can be done without.
  if (channel.starts_with(keyspace_prefix_)) {
    may_watch_keys_ = false;
    for (const std::string& key : keys_) link_.unsubscribe(keyspace_prefix_ + key);
    keys_.clear();
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
  for (const Interest* interest : found->second->interests) interest->observer_->on_refused();
}

void ChannelFeeds::on_down() {
  hub_.flush();
  for (const auto& [channel, feed] : feeds_) {
    for (const Interest* interest : feed->interests) interest->observer_->on_unconfirmed();
  }
}

void ChannelFeeds::write_metrics(MetricsText& out) const {
  out.gauge("tailgate_channels_watched", "Redis channels that are subscribed to for streams.", feeds_.size());
  out.counter("tailgate_messages_received_total", "Messages received on channels.", messages_);
  out.counter("tailgate_redis_rests_total",
              "How often the busy subscriber link waited a moment, to read several messages at once.",
              link().rests());
}

void ChannelFeeds::leave(Interest& interest) {
  Feed& feed = *interest.feed_;
  interest.feeds_ = nullptr;
  feed.interests.back()->index_ = interest.index_;
  feed.interests[interest.index_] = feed.interests.back();
  feed.interests.pop_back();
  if (!feed.interests.empty()) return;
  feed.left_at = Loop::now();
  if (!std::exchange(feed.is_left, true)) left_.push_back(&feed);
  if (!sweep_.pending()) sweep_.after(kSweep);
}

void ChannelFeeds::sweep() {
  const TimePoint now = Loop::now();
  std::erase_if(left_, [&](Feed* feed) {
    feed->is_left = feed->interests.empty() && now - feed->left_at < kLinger;
    if (feed->is_left) return false;
    if (feed->interests.empty()) {
      link_.unsubscribe(feed->channel);
      feeds_.erase(feeds_.find(feed->channel));
    }
    return true;
  });
  if (!left_.empty()) sweep_.after(kSweep);
}

}  // namespace tailgate
