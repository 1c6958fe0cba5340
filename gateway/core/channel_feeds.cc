#include "gateway/core/channel_feeds.h"

#include <utility>

#include "gateway/base/log.h"

namespace tailgate {

namespace {

constexpr std::chrono::seconds kLinger{3};

}  // namespace

struct ChannelFeeds::Feed {
  std::string channel;
  std::vector<Interest*> interests;
};

ChannelFeeds::Interest::Interest(ChannelFeeds& feeds, const std::string& channel, Watcher& watcher)
    : feeds_(&feeds), watcher_(&watcher) {
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
  watcher_ = other.watcher_;
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
                   if (on_up_) on_up_();
                 },
             .on_down = [this] { on_down(); },
             .on_confirmed = [this](std::string_view channel) { on_confirmed(channel); },
             .on_message = [this](std::string_view channel,
                                  std::string_view payload) { on_message(channel, payload); }}) {
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

void ChannelFeeds::on_message(std::string_view channel, std::string_view payload) {
  if (channel.starts_with(keyspace_prefix_)) {
    if (keyspace_sink_) keyspace_sink_(channel.substr(keyspace_prefix_.size()));
    return;
  }
  ++messages_;
  hub_.publish(channel, payload);
}

void ChannelFeeds::on_confirmed(std::string_view channel) {
  const auto found = feeds_.find(std::string(channel));
  if (found == feeds_.end()) return;
  // What came before the confirmation is not part of what follows it.
  hub_.flush(channel);
  for (const Interest* interest : found->second->interests) interest->watcher_->on_confirmed();
}

void ChannelFeeds::on_down() {
  hub_.flush();
  // hiredis ends the whole connection over one SUBSCRIBE that is not permitted.  Asking for the same
  // again would do it again, and keyspace notifications are what can be done without.
  if (!keys_.empty() && link_.link().why_lost().starts_with("NOPERM")) {
    may_watch_keys_ = false;
    for (const std::string& key : keys_) link_.unsubscribe(keyspace_prefix_ + key);
    keys_.clear();
    log_warning("log.wakeups", {{"by", "sweep"}, {"why", "keyspace notifications are not permitted"}});
  }
  for (const auto& [channel, feed] : feeds_) {
    for (const Interest* interest : feed->interests) interest->watcher_->on_unconfirmed();
  }
}

void ChannelFeeds::leave(Interest& interest) {
  Feed& feed = *interest.feed_;
  interest.feeds_ = nullptr;
  feed.interests.back()->index_ = interest.index_;
  feed.interests[interest.index_] = feed.interests.back();
  feed.interests.pop_back();
  if (!feed.interests.empty()) return;
  left_.emplace_back(Loop::now() + kLinger, feed.channel);
  if (!sweep_.pending()) sweep_.after(kLinger);
}

void ChannelFeeds::sweep() {
  const TimePoint now = Loop::now();
  for (; !left_.empty() && left_.front().first <= now; left_.pop_front()) {
    const auto found = feeds_.find(left_.front().second);
    if (found == feeds_.end() || !found->second->interests.empty()) continue;
    link_.unsubscribe(found->first);
    feeds_.erase(found);
  }
  if (!left_.empty()) {
    sweep_.after(std::chrono::duration_cast<std::chrono::microseconds>(left_.front().first - now));
  }
}

}  // namespace tailgate
