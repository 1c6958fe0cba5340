#include "gateway/redis/subscriber_link.h"

#include <algorithm>
#include <array>
#include <utility>

#include "gateway/loop/random.h"

namespace tailgate {

namespace {

// How long a channel that Redis refuses is left out: each attempt costs the whole link.
constexpr std::chrono::seconds kFirstRefusal{30};
constexpr std::chrono::seconds kLongestRefusal{3600};

}  // namespace

SubscriberLink::SubscriberLink(const Loop& loop, Resolver& resolver, const RedisRule& rule, Events events)
    : events_(std::move(events)),
      control_("tailgate:control:" + random_hex(8)),
      again_(loop, [this] { on_due_again(); }),
      link_(loop, resolver, rule, "subscriber",
            {.on_up = [this] { on_link_up(); }, .on_down = [this] { on_link_down(); }}) {
  link_.request_client_id();
  link_.probe_ = [this] { send("SUBSCRIBE", control_); };
  if (events_.rest) link_.set_rest(events_.rest);
}

void SubscriberLink::subscribe(const std::string& channel) {
  Channel& state = channels_[channel];
  if (!std::exchange(state.wanted, true)) ask(channel, state);
}

void SubscriberLink::confirm_anew(const std::string& channel) {
  Channel& state = channels_[channel];
  state.wanted = true;
  ask(channel, state);
}

void SubscriberLink::ask(const std::string& name, Channel& channel) {
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
  return found != channels_.end() && up() && found->second.wanted && found->second.unanswered == 0 &&
         !refused_.contains(channel);
}

void SubscriberLink::send(const char* verb, const std::string& channel) {
  std::array<const char*, 2> texts{verb, channel.c_str()};
  const std::array<std::size_t, 2> lengths{std::string_view(verb).size(), channel.size()};
  unanswered_.push_back(channel);
  redisAsyncCommandArgv(link_.context_, reply_cb, this, 2, texts.data(), lengths.data());
}

void SubscriberLink::on_link_up() {
  unanswered_.clear();
  send("SUBSCRIBE", control_);
  for (auto& [name, state] : channels_) {
    state.unanswered = 0;
    ask(name, state);
  }
  if (events_.on_up) events_.on_up();
}

// hiredis ends the connection over a SUBSCRIBE that is not permitted, and Redis's sentence does not name
// the channel; but it is the first that had no answer.
void SubscriberLink::on_link_down() {
  std::erase_if(channels_, [](const auto& entry) { return !entry.second.wanted; });
  if (link_.why_lost().starts_with("NOPERM") && !unanswered_.empty() && unanswered_.front() != control_) {
    const std::string channel = unanswered_.front();
    Refused& refused =
        refused_.try_emplace(channel, Refused{.until = {}, .wait = kFirstRefusal}).first->second;
    refused.until = Loop::now() + refused.wait;
    refused.wait = std::min(refused.wait * 2, kLongestRefusal);
    if (!again_.pending()) again_.after(kFirstRefusal);
    events_.on_refused(channel);
  }
  events_.on_down();
}

// Rights may have been given since.
void SubscriberLink::on_due_again() {
  const TimePoint now = Loop::now();
  std::erase_if(refused_, [&](const auto& entry) {
    return entry.second.until <= now && !channels_.contains(entry.first);
  });
  if (!refused_.empty()) again_.after(kFirstRefusal);
  if (!up()) return;
  for (auto& [name, refused] : refused_) {
    const auto found = channels_.find(name);
    if (refused.until <= now && found != channels_.end() && found->second.unanswered == 0) {
      ask(name, found->second);
    }
  }
}

void SubscriberLink::reply_cb(redisAsyncContext* context, void* reply, void* self) noexcept {
  if (context->data == nullptr) return;  // the link is being destroyed
  static_cast<SubscriberLink*>(self)->on_reply(static_cast<const redisReply*>(reply));
}

void SubscriberLink::on_reply(const redisReply* reply) {
  if (reply == nullptr) {
    link_.note_losing();
    return;
  }
  link_.note_life();
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3) return;
  const std::string_view kind = text_of(*reply->element[0]);
  const std::string_view channel = text_of(*reply->element[1]);
  if (kind == "message") {
    const redisReply& payload = *reply->element[2];
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
  const auto found = channels_.find(std::string(channel));
  if (found == channels_.end()) return;  // the control channel
  Channel& state = found->second;
  // An answer carries only the name: with several commands of one channel under way, only the last
  // answer proves anything.
  if (--state.unanswered > 0) return;
  if (state.wanted) {
    refused_.erase(found->first);
    events_.on_confirmed(found->first);
  } else {
    channels_.erase(found);
  }
}

}  // namespace tailgate
