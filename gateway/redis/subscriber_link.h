// SubscriberLink: the one connection that is in Pub/Sub mode.
//
// Knows SUBSCRIBE, UNSUBSCRIBE and what their answers prove; knows no feed.
// hiredis 0.14.1 sets the rules: one channel a command, one callback for all that looks at the channel's
// name in the reply, a channel of our own that is never left (so that the mode never ends), and no other
// command on the link.  SUBSCRIBE of our own channel again is also the probe of life: it is answered
// every time, on the very link, and needs no right to publish.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "gateway/redis/link.h"

namespace tailgate {

class SubscriberLink {
 public:
  // All are called from the loop; in none may the link be destroyed.
  struct Events {
    // What is wanted has been asked for on this connection, whose client_id is known.
    std::function<void()> on_up = {};
    std::function<void()> on_down;
    // Redis does not let this user subscribe to the channel, and ended the link over it.  It is left out
    // for a while, then asked for again, each time less soon.
    std::function<void(std::string_view channel)> on_refused;
    // Redis has the subscription: what is published from here on arrives.  Comes again after each loss.
    std::function<void(std::string_view channel)> on_confirmed;
    // A message that is a list comes as one for each of its texts, and one of nothing as an empty text: so
    // Redis tells of the keys that a connection which redirects to this one has read (CLIENT TRACKING).
    std::function<void(std::string_view channel, std::string_view payload)> on_message;
    // How long the next read may wait: a busy link brings more at a time.  Asked behind each read and write.
    std::function<std::chrono::microseconds()> rest;
  };

  SubscriberLink(const Loop& loop, Resolver& resolver, const RedisRule& rule, Events events);

  // Wanted from here on, over every loss of the link, until unsubscribe().
  void subscribe(const std::string& channel);
  // The same, and on_confirmed comes even if Redis has it already: the link lives, then.  Not for a channel
  // that is left out.
  void confirm_anew(const std::string& channel);
  void unsubscribe(const std::string& channel);
  // Redis has it: no SUBSCRIBE or UNSUBSCRIBE of this channel is unanswered, and the last one was a
  // SUBSCRIBE.
  bool confirmed(const std::string& channel) const;

  bool up() const { return link_.up(); }
  bool more_coming() { return link_.more_coming(); }
  const RedisLink& link() const { return link_; }

 private:
  struct Channel {
    bool wanted = false;
    int unanswered = 0;  // commands of either kind on this connection
  };
  struct Refused {
    TimePoint until;
    std::chrono::seconds wait;
  };

  static void reply_cb(redisAsyncContext* context, void* reply, void* self) noexcept;
  void on_reply(const redisReply* reply);
  void on_link_up();
  void on_link_down();
  void on_due_again();
  bool is_left_out(const std::string& channel) const;
  void ask(const std::string& name, Channel& channel);
  void send(const char* verb, const std::string& channel);

  Events events_;
  std::string control_;
  std::unordered_map<std::string, Channel> channels_;
  std::deque<std::string> unanswered_;  // the channels of the commands under way, in their order
  std::unordered_map<std::string, Refused> refused_;
  Timer again_;
  RedisLink link_;
};

}  // namespace tailgate
