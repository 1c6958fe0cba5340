#include "gateway/io/subscriber_link.h"

#include <array>
#include <utility>

#include "gateway/io/random.h"

namespace tailgate {

SubscriberLink::SubscriberLink(const Loop& loop, Resolver& resolver, const RedisRule& rule, Events events)
    : events_(std::move(events)),
      control_("tailgate:control:" + random_hex(8)),
      link_(loop, resolver, rule, "subscriber",
            {.on_up = [this] { on_link_up(); }, .on_down = [this] { on_link_down(); }}) {
  link_.probe_ = [this] { send("SUBSCRIBE", control_); };
}

void SubscriberLink::subscribe(const std::string& channel) {
  Channel& state = channels_[channel];
  if (std::exchange(state.wanted, true) || !up()) return;
  ++state.unanswered;
  send("SUBSCRIBE", channel);
}

void SubscriberLink::unsubscribe(const std::string& channel) {
  const auto found = channels_.find(channel);
  if (found == channels_.end() || !std::exchange(found->second.wanted, false)) return;
  if (!up()) {
    channels_.erase(found);
    return;
  }
  ++found->second.unanswered;
  send("UNSUBSCRIBE", channel);
}

bool SubscriberLink::confirmed(const std::string& channel) const {
  const auto found = channels_.find(channel);
  return found != channels_.end() && up() && found->second.wanted && found->second.unanswered == 0;
}

void SubscriberLink::send(const char* verb, const std::string& channel) {
  std::array<const char*, 2> texts{verb, channel.c_str()};
  const std::array<std::size_t, 2> lengths{std::string_view(verb).size(), channel.size()};
  redisAsyncCommandArgv(link_.context_, reply_cb, this, 2, texts.data(), lengths.data());
}

void SubscriberLink::on_link_up() {
  send("SUBSCRIBE", control_);
  for (auto& [name, state] : channels_) {
    state.unanswered = 1;
    send("SUBSCRIBE", name);
  }
  if (events_.on_up) events_.on_up();
}

void SubscriberLink::on_link_down() {
  std::erase_if(channels_, [](const auto& entry) { return !entry.second.wanted; });
  if (events_.on_down) events_.on_down();
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
  const auto text = [&](std::size_t index) {
    const redisReply& element = *reply->element[index];
    return std::string_view(element.str, element.str == nullptr ? 0 : static_cast<std::size_t>(element.len));
  };
  const std::string_view kind = text(0);
  if (kind == "message") {
    events_.on_message(text(1), text(2));
    return;
  }
  const auto found = channels_.find(std::string(text(1)));
  if (found == channels_.end()) return;  // the control channel
  Channel& state = found->second;
  // An answer carries only the name: with several commands of one channel under way, only the last
  // answer proves anything.
  if (--state.unanswered > 0) return;
  if (state.wanted) {
    events_.on_confirmed(found->first);
  } else {
    channels_.erase(found);
  }
}

}  // namespace tailgate
