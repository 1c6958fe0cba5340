// SubscriberLink: the one connection that is in Pub/Sub mode.
//
// Knows SUBSCRIBE, UNSUBSCRIBE and their answers; knows no feed.  hiredis 0.14.1 imposes three rules:
// - Each command names one channel.  All replies have the same callback, which reads the channel's name.
// - A control channel stays subscribed: after the last UNSUBSCRIBE, hiredis aborts at the next command.
// - No other command is sent.  So the probe is SUBSCRIBE of the control channel, which Redis always answers
//   and which needs no right to publish.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/redis/link.h"

namespace tailgate {

class SubscriberLink {
 public:
  // All functions are called from the loop.  None of them may destroy the link.
  struct Events {
    // Called before any channel is subscribed on a new connection.
    std::function<void()> on_up = {};
    std::function<void()> on_down;
    // Redis refused the channel to this user, and hiredis then closed the connection.  The link does not
    // try the channel again for 30 seconds.  Each further refusal doubles that time, up to one hour.
    std::function<void(std::string_view channel)> on_refused;
    // Messages published on the channel from now on arrive.  Called again after each loss of the link, when
    // Redis has answered for all channels: a connection that Redis closes over one of them confirms none.
    std::function<void(std::string_view channel)> on_confirmed;
    // Called for each message.  For an invalidation (CLIENT TRACKING with REDIRECT), called once for each
    // Redis key in the message's list.  If the message has nil in place of the list, `payload` is empty.
    std::function<void(std::string_view channel, std::string_view payload)> on_message;
    // See RedisLink::set_rest().
    std::function<std::chrono::microseconds()> rest;
  };

  SubscriberLink(const Loop& loop, Resolver& resolver, const RedisRule& rule, Events events);

  // Keeps the channel subscribed until unsubscribe(), also after each loss of the link.
  void subscribe(const std::string& channel);
  // Like subscribe(), but calls on_confirmed even if the channel is subscribed already.  Does not shorten the
  // wait of a refused channel.
  void confirm_again(const std::string& channel);
  // Like subscribe(), but ends the wait of a refused channel.
  void subscribe_refused(const std::string& channel) {
    refused_.erase(channel);
    subscribe(channel);
  }
  void unsubscribe(const std::string& channel);
  // True if Redis has the subscription: no SUBSCRIBE or UNSUBSCRIBE of the channel is unanswered, the last
  // one was a SUBSCRIBE, and the connection is settled.
  bool confirmed(const std::string& channel) const;

  // Tries refused channels now, not after their wait.  Each one that Redis refuses again costs the
  // connection.
  void retry_refused_now();
  // Closes the connection, if it is up, and reconnects.  `why` is for the log.
  void drop(const std::string& why) {
    if (up()) link_.drop(why);
  }

  bool up() const { return link_.up(); }
  const RedisLink& link() const { return link_; }

 private:
  struct Channel {
    bool wanted = false;
    int unanswered = 0;  // how many commands for this channel Redis has not answered on this connection
  };
  struct Refused {
    TimePoint until;
    std::chrono::seconds wait;
  };

  void on_push(const redisReply& reply);
  void on_answer(const std::string& channel, long long subscriptions);
  void confirm_settled();
  void on_link_up();
  void on_link_down();
  void retry_refused();
  bool is_left_out(const std::string& channel) const;
  void send_subscribe(const std::string& name, Channel& channel);
  void send(std::string_view verb, const std::string& channel);

  Events events_;
  std::string control_channel_;
  bool control_refusal_told_ = false;
  std::unordered_map<std::string, Channel> channels_;
  std::deque<std::string> unanswered_;  // the channel of each unanswered command, oldest first
  // How many of the commands that on_link_up() sent are unanswered.  At 0 the connection is settled.
  std::size_t unsettled_ = 0;
  std::vector<std::string> confirmed_unsettled_;  // on_confirmed() is due when the connection is settled
  long long subscriptions_ = 0;                   // of this connection, by Redis's last answer; 0: no answer
  std::unordered_map<std::string, Refused> refused_;
  Timer retry_timer_;
  RedisLink link_;
};

}  // namespace tailgate
