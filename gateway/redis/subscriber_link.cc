#include "gateway/redis/subscriber_link.h"

#include <algorithm>
#include <utility>

#include "gateway/loop/random.h"

namespace tailgate {

namespace {

// How long a refused channel waits for its next attempt.  Each refusal closes the whole connection.
constexpr std::chrono::seconds kFirstRetryDelay{30};
constexpr std::chrono::seconds kLongestRetryDelay{3600};
// trial_backoff_ starts again at its shortest pause after this time without a refused trial.
constexpr std::chrono::seconds kForgotten{10};
// The most reads of 16 KB in one turn of the loop.  Not one, because more reads make larger batches, which
// need fewer writes to clients.
constexpr int kReadsPerTurn = 8;

}  // namespace

SubscriberLink::SubscriberLink(const Loop& loop, Resolver& resolver, const RedisRule& rule, Events events)
    : events_(std::move(events)),
      control_channel_("tailgate:control:" + random_hex(8)),
      retry_timer_(loop, [this] { retry_refused(); }),
      trial_timer_(loop, [this] { try_waiting(); }),
      link_(loop, resolver, rule, "subscriber",
            {.on_up = [this] { on_link_up(); },
             .on_down = [this] { on_link_down(); },
             .on_push = [this](const redisReply& reply) { on_push(reply); },
             .probe = [this] { send("SUBSCRIBE", control_channel_); },
             .reads_per_turn = kReadsPerTurn}) {
  link_.request_client_id();
}

void SubscriberLink::subscribe(const std::string& channel) {
  Channel& state = channels_[channel];
  if (!std::exchange(state.wanted, true)) want(channel, state);
}

void SubscriberLink::confirm_again(const std::string& channel) {
  Channel& state = channels_[channel];
  state.wanted = true;
  want(channel, state);
}

void SubscriberLink::subscribe_refused(const std::string& channel) {
  refused_.erase(channel);
  Channel& state = channels_[channel];
  if (!std::exchange(state.wanted, true)) send_subscribe(channel, state);
}

// A channel that was not tried waits for its trial, because Redis may refuse it and close the connection.
void SubscriberLink::want(const std::string& name, Channel& channel) {
  if (channel.tried || may_try()) send_subscribe(name, channel);
}

void SubscriberLink::try_waiting() {
  if (!may_try()) return;
  for (auto& [name, state] : channels_) {
    if (state.wanted && !state.tried) send_subscribe(name, state);
  }
}

void SubscriberLink::send_subscribe(const std::string& name, Channel& channel) {
  if (!up() || awaits_retry(name)) return;
  channel.tried = true;
  ++channel.unanswered;
  send("SUBSCRIBE", name);
}

void SubscriberLink::unsubscribe(const std::string& channel) {
  const auto found = channels_.find(channel);
  if (found == channels_.end() || !std::exchange(found->second.wanted, false)) return;
  if (!up() || !found->second.tried) {
    channels_.erase(found);
    return;
  }
  ++found->second.unanswered;
  send("UNSUBSCRIBE", channel);
}

bool SubscriberLink::awaits_retry(const std::string& channel) const {
  const auto found = refused_.find(channel);
  return found != refused_.end() && Loop::now() < found->second.until;
}

bool SubscriberLink::confirmed(const std::string& channel) const {
  const auto found = channels_.find(channel);
  return found != channels_.end() && up() && unsettled_ == 0 && found->second.wanted && found->second.tried &&
         found->second.unanswered == 0;
}

void SubscriberLink::send(std::string_view verb, const std::string& channel) {
  unanswered_.push_back(channel);
  link_.send({verb, channel});
}

void SubscriberLink::on_link_up() {
  unanswered_.clear();
  confirmed_unsettled_.clear();
  subscriptions_ = 0;
  unsettled_ = 0;
  for (auto& [name, state] : channels_) state.unanswered = 0;
  send("SUBSCRIBE", control_channel_);
  if (events_.on_up) events_.on_up();
  for (auto& [name, state] : channels_) {
    if (state.tried && state.unanswered == 0) send_subscribe(name, state);
  }
  unsettled_ = unanswered_.size();
}

// hiredis (0.14.1 and 1.2) closes the connection if Redis does not permit a SUBSCRIBE.  Redis's error does
// not name the refused channel.  Redis answers in order, so the refused channel is the first in unanswered_.
void SubscriberLink::on_link_down() {
  std::erase_if(channels_, [](const auto& entry) { return !entry.second.wanted; });
  const bool is_refused = link_.why_lost().starts_with("NOPERM") && !unanswered_.empty();
  if (is_refused && unanswered_.front() == control_channel_) {
    if (!std::exchange(control_refusal_reported_, true)) events_.on_refused(control_channel_);
  } else if (is_refused) {
    const std::string channel = unanswered_.front();
    leave_out(channel);
    events_.on_refused(channel);
    // The server answers, so there is no reason to wait.  Each connection finds only one refused channel:
    // after an ACL change that takes many channels away, many connections follow each other.
    link_.reconnect_now();
  }
  unanswered_.clear();
  events_.on_down();
}

void SubscriberLink::leave_out(const std::string& channel) {
  const TimePoint now = Loop::now();
  Refused& refused =
      refused_.try_emplace(channel, Refused{.until = {}, .wait = kFirstRetryDelay}).first->second;
  refused.until = now + refused.wait;
  refused.wait = std::min(refused.wait * 2, kLongestRetryDelay);
  if (!retry_timer_.pending()) retry_timer_.after(kFirstRetryDelay);
  if (const auto found = channels_.find(channel); found != channels_.end()) found->second.tried = false;
  // On a connection that was not settled no channel was confirmed, so its loss costs no stream a `resync`.
  if (unsettled_ > 0) return;
  // Clients choose channels by their URLs.  They must not decide how often all streams get a `resync`.
  if (now - std::exchange(last_trial_refused_, now) > kForgotten) trial_backoff_.on_success();
  trial_timer_.after(trial_backoff_.on_failure(random_unit()));
}

// Tries refused channels again, because an operator may have permitted them in the meantime.
void SubscriberLink::retry_refused() {
  const TimePoint now = Loop::now();
  std::erase_if(refused_, [&](const auto& entry) {
    return entry.second.until <= now && !channels_.contains(entry.first);
  });
  if (!refused_.empty()) retry_timer_.after(kFirstRetryDelay);
  try_waiting();
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

// `subscriptions`: Redis's count of this connection's channels.
void SubscriberLink::on_answer(const std::string& channel, long long subscriptions) {
  const long long before = std::exchange(subscriptions_, subscriptions);
  if (channel == control_channel_) {
    control_refusal_reported_ = false;
    // A probe adds no subscription.  If the number of subscriptions changes with it, a proxy in between has
    // replaced or reset its connection to Redis.
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
  try_waiting();
}

}  // namespace tailgate
