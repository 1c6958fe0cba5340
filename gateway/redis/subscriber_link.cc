#include "gateway/redis/subscriber_link.h"

#include <algorithm>
#include <utility>

#include "gateway/loop/random.h"

namespace tailgate {

namespace {

// How long a refused channel waits for its next attempt.  Each refusal closes the whole connection.
constexpr std::chrono::seconds kFirstLeftOut{30};
constexpr std::chrono::seconds kLongestLeftOut{3600};

}  // namespace

SubscriberLink::SubscriberLink(const Loop& loop, Resolver& resolver, const RedisRule& rule, Events events)
    : events_(std::move(events)),
      control_channel_("tailgate:control:" + random_hex(8)),
      retry_timer_(loop, [this] { retry_refused(); }),
      link_(loop, resolver, rule, "subscriber",
            {.on_up = [this] { on_link_up(); },
             .on_down = [this] { on_link_down(); },
             .on_push = [this](const redisReply& reply) { on_push(reply); },
             .probe = [this] { send("SUBSCRIBE", control_channel_); }}) {
  link_.request_client_id();
  if (events_.rest) link_.set_rest(events_.rest);
}

void SubscriberLink::subscribe(const std::string& channel) {
  Channel& state = channels_[channel];
  if (!std::exchange(state.wanted, true)) send_subscribe(channel, state);
}

void SubscriberLink::confirm_again(const std::string& channel) {
  Channel& state = channels_[channel];
  state.wanted = true;
  send_subscribe(channel, state);
}

void SubscriberLink::send_subscribe(const std::string& name, Channel& channel) {
  if (!up() || is_left_out(name)) return;
  ++channel.unanswered;
  send("SUBSCRIBE", name);
}

void SubscriberLink::unsubscribe(const std::string& channel) {
  const auto found = channels_.find(channel);
  if (found == channels_.end() || !std::exchange(found->second.wanted, false)) return;
  if (!up() || (refused_.contains(channel) && found->second.unanswered == 0)) {
    channels_.erase(found);
    return;
  }
  ++found->second.unanswered;
  send("UNSUBSCRIBE", channel);
}

bool SubscriberLink::is_left_out(const std::string& channel) const {
  const auto found = refused_.find(channel);
  return found != refused_.end() && Loop::now() < found->second.until;
}

bool SubscriberLink::confirmed(const std::string& channel) const {
  const auto found = channels_.find(channel);
  return found != channels_.end() && up() && unsettled_ == 0 && found->second.wanted &&
         found->second.unanswered == 0 && !refused_.contains(channel);
}

void SubscriberLink::send(std::string_view verb, const std::string& channel) {
  unanswered_.push_back(channel);
  link_.send({verb, channel});
}

void SubscriberLink::on_link_up() {
  unanswered_.clear();
  confirmed_unsettled_.clear();
  subscriptions_ = 0;
  for (auto& [name, state] : channels_) state.unanswered = 0;
  send("SUBSCRIBE", control_channel_);
  if (events_.on_up) events_.on_up();
  for (auto& [name, state] : channels_) {
    if (state.unanswered == 0) send_subscribe(name, state);
  }
  unsettled_ = unanswered_.size();
}

// hiredis (0.14.1 and 1.2) closes the connection if Redis does not permit a SUBSCRIBE.  Redis's error does
// not name the refused channel.  Redis answers in order, so the refused channel is the first in unanswered_.
void SubscriberLink::on_link_down() {
  std::erase_if(channels_, [](const auto& entry) { return !entry.second.wanted; });
  const bool is_refused = link_.why_lost().starts_with("NOPERM") && !unanswered_.empty();
  if (is_refused && unanswered_.front() == control_channel_) {
    if (!std::exchange(control_refusal_told_, true)) events_.on_refused(control_channel_);
  } else if (is_refused) {
    const std::string channel = unanswered_.front();
    Refused& refused =
        refused_.try_emplace(channel, Refused{.until = {}, .wait = kFirstLeftOut}).first->second;
    refused.until = Loop::now() + refused.wait;
    refused.wait = std::min(refused.wait * 2, kLongestLeftOut);
    if (!retry_timer_.pending()) retry_timer_.after(kFirstLeftOut);
    events_.on_refused(channel);
    link_.reconnect_now();  // the next connection is one refused channel further
  }
  events_.on_down();
}

// Tries refused channels again, because an operator may have permitted them in the meantime.
void SubscriberLink::retry_refused() {
  const TimePoint now = Loop::now();
  std::erase_if(refused_, [&](const auto& entry) {
    return entry.second.until <= now && !channels_.contains(entry.first);
  });
  if (!refused_.empty()) retry_timer_.after(kFirstLeftOut);
  if (!up()) return;
  for (auto& [name, refused] : refused_) {
    const auto found = channels_.find(name);
    if (refused.until <= now && found != channels_.end() && found->second.unanswered == 0) {
      send_subscribe(name, found->second);
    }
  }
}

void SubscriberLink::retry_refused_now() {
  for (auto& [name, refused] : refused_) refused.until = {};
  retry_refused();
}

void SubscriberLink::on_push(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements != 3) return;
  const std::string_view kind = text_of(*reply.element[0]);
  const std::string_view channel = text_of(*reply.element[1]);
  if (kind == "message") {
    const redisReply& payload = *reply.element[2];
    if (payload.type == REDIS_REPLY_ARRAY) {
      for (std::size_t i = 0; i < payload.elements; ++i) {
        events_.on_message(channel, text_of(*payload.element[i]));
      }
    } else {
      events_.on_message(channel, text_of(payload));
    }
    return;
  }
  if (!unanswered_.empty()) unanswered_.pop_front();
  on_answer(std::string(channel), reply.element[2]->integer);
  if (unsettled_ > 0 && --unsettled_ == 0) confirm_settled();
}

// `subscriptions`: how many channels this connection has, by Redis.
void SubscriberLink::on_answer(const std::string& channel, long long subscriptions) {
  const long long before = std::exchange(subscriptions_, subscriptions);
  if (channel == control_channel_) {
    // A probe subscribes to no further channel.  If it changes the number, a proxy has replaced its
    // connection to Redis, or has reset it.
    if (before != 0 && before != subscriptions) link_.drop("Redis has forgotten subscriptions");
    return;
  }
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return;
  Channel& state = found->second;
  // While several commands for one channel are under way, only the answer to the last one shows whether the
  // channel is subscribed.
  if (--state.unanswered > 0) return;
  if (state.wanted) {
    refused_.erase(found->first);
    if (unsettled_ > 0) return confirmed_unsettled_.push_back(found->first);
    events_.on_confirmed(found->first);
  } else {
    channels_.erase(found);
  }
}

void SubscriberLink::confirm_settled() {
  for (const std::string& channel : std::exchange(confirmed_unsettled_, {})) {
    if (confirmed(channel)) events_.on_confirmed(channel);
  }
}

}  // namespace tailgate
