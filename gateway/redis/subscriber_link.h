// SubscriberLink: the one connection that is in Pub/Sub mode.
//
// Knows SUBSCRIBE, UNSUBSCRIBE and what their answers prove; knows no feed.  hiredis 0.14.1 sets the rules:
// - One channel a command, and one callback for all replies, which reads the channel's name in each reply.
// - A control channel that is never left: after the last UNSUBSCRIBE, hiredis aborts at the next command.
// - No other command.  The link's probe is SUBSCRIBE of the control channel, which Redis answers every time
// and
//   which needs no right to publish.
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
  // All are called from the loop.  The link may not be destroyed in any of them.
  struct Events {
    std::function<void()> on_down;
    // Redis does not let this user subscribe to the channel, and the connection was lost over the attempt.
    // The link leaves the channel out for 30 seconds, and twice as long after each further refusal.
    std::function<void(std::string_view channel)> on_refused;
    // Redis has the subscription: messages published from now on arrive.  Comes again after each loss.
    std::function<void(std::string_view channel)> on_confirmed;
    // Called for each text where the message is a list, and with an empty text where it is nil.  Only
    // invalidations (CLIENT TRACKING with REDIRECT) are such messages.
    std::function<void(std::string_view channel, std::string_view payload)> on_message;
    // How long the next read may wait.  Called after each read and each write.
    std::function<std::chrono::microseconds()> rest;
  };

  SubscriberLink(const Loop& loop, Resolver& resolver, const RedisRule& rule, Events events);

  // The channel is wanted until unsubscribe(), over every loss of the link.
  void subscribe(const std::string& channel);
  // The same, and on_confirmed comes even if Redis has the subscription already.  A refused channel is still
  // left out.
  void confirm_again(const std::string& channel);
  void unsubscribe(const std::string& channel);
  // True if Redis has the subscription: no SUBSCRIBE or UNSUBSCRIBE of the channel is unanswered, and the
  // last one was a SUBSCRIBE.
  bool confirmed(const std::string& channel) const;

  bool up() const { return link_.up(); }
  const RedisLink& link() const { return link_; }

 private:
  struct Channel {
    bool wanted = false;
    int unanswered = 0;  // SUBSCRIBE and UNSUBSCRIBE commands on this connection
  };
  struct Refused {
    TimePoint until;
    std::chrono::seconds wait;
  };

  void on_push(const redisReply& reply);
  void on_link_up();
  void on_link_down();
  void retry_refused();
  bool is_left_out(const std::string& channel) const;
  void send_subscribe(const std::string& name, Channel& channel);
  void send(std::string_view verb, const std::string& channel);

  Events events_;
  std::string control_channel_;
  std::unordered_map<std::string, Channel> channels_;
  std::deque<std::string> unanswered_;  // the channel of each command under way, in their order
  std::unordered_map<std::string, Refused> refused_;
  Timer retry_timer_;
  RedisLink link_;
};

}  // namespace tailgate
