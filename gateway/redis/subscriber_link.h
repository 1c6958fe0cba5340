// SubscriberLink: the one connection that is in Pub/Sub mode.
//
// Knows SUBSCRIBE, UNSUBSCRIBE and their answers; knows no feed.  hiredis 0.14.1 imposes three rules:
// - Each command names one channel.  All replies have the same callback, which reads the channel's name.
// - A control channel stays subscribed: after the last UNSUBSCRIBE, hiredis aborts at the next command.
// - No other command is sent.  So the probe is SUBSCRIBE of the control channel: Redis answers it even if the
//   channel is subscribed already.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/base/backoff.h"
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
    // try the channel again for 30 seconds.  Each further refusal doubles that time, up to one hour.  The
    // control channel is an exception: each connection tries it, and only the first refusal is reported.
    std::function<void(std::string_view channel)> on_refused;
    // Messages published on the channel from now on arrive.  Called again after each loss of the link, once
    // Redis has answered for all channels.  A connection that a refusal ends before that confirms none.
    std::function<void(std::string_view channel)> on_confirmed;
    // Called for each message.  For an invalidation (CLIENT TRACKING with REDIRECT), called once for each
    // Redis key in the message's list.  If the message has nil in place of the list, `payload` is empty.
    std::function<void(std::string_view channel, std::string_view payload)> on_message;
  };

  SubscriberLink(const Loop& loop, Resolver& resolver, const RedisRule& rule, Events events);

  // Keeps the channel subscribed until unsubscribe(), also after each loss of the link.
  void subscribe(const std::string& channel);
  // Like subscribe(), but calls on_confirmed even if the channel is subscribed already.  Does not shorten the
  // wait of a refused channel.
  void confirm_again(const std::string& channel);
  // Like subscribe(), but sends SUBSCRIBE at once if the link is up, also for a channel that waits after a
  // refusal.
  void subscribe_refused(const std::string& channel);
  void unsubscribe(const std::string& channel);
  // True if Redis has the subscription: no SUBSCRIBE or UNSUBSCRIBE of the channel is unanswered, the last
  // one was a SUBSCRIBE, and the connection is settled (see unsettled_).
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
    bool tried = false;  // SUBSCRIBE was sent on this or an earlier connection, and Redis has not refused it
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
  void leave_out(const std::string& channel);
  void retry_refused();
  bool awaits_retry(const std::string& channel) const;
  bool may_try() const { return up() && unsettled_ == 0 && !trial_timer_.pending(); }
  void try_waiting();
  void want(const std::string& name, Channel& channel);
  void send_subscribe(const std::string& name, Channel& channel);
  void send(std::string_view verb, const std::string& channel);

  Events events_;
  std::string control_channel_;
  bool control_refusal_reported_ = false;
  std::unordered_map<std::string, Channel> channels_;
  std::deque<std::string> unanswered_;  // the channel of each unanswered command, oldest first
  // How many of the commands that on_link_up() sent are unanswered.  At 0 the connection is settled.
  std::size_t unsettled_ = 0;
  std::vector<std::string> confirmed_unsettled_;  // confirmed, but on_confirmed() waits for unsettled_ == 0
  long long subscriptions_ = 0;                   // Redis's last count for this connection; 0: no answer yet
  std::unordered_map<std::string, Refused> refused_;
  Timer retry_timer_;
  // After a refusal on a settled connection, channels that were not tried wait for this timer.
  Timer trial_timer_;
  Backoff trial_backoff_{std::chrono::milliseconds(50), std::chrono::milliseconds(2000)};
  TimePoint last_trial_refused_{};
  RedisLink link_;
};

}  // namespace tailgate
