// RedisLink: one connection to Redis that reconnects by itself.
//
// Knows hiredis's async API, the greeting (AUTH, ROLE, SELECT, PING) and the server's role; knows no Redis
// key and no channel. Commands can be sent only while the link is up.  If the link is lost, each unanswered
// command gets a null reply and is not sent again.  The link may not be destroyed inside one of its own
// callbacks.
//
//   state        context_ is        the state ends with
//   kWaiting     null               the timer: the next attempt
//   kResolving   null               an address, no address, or the connect timeout
//   kConnecting  ours to free       hiredis's connect callback, or the connect timeout
//   kGreeting    ours to free       the answer to PING, a refusal, a loss, or the connect timeout
//   kUp          ours to free       drop() or a loss
//   kLosing      hiredis's to free  hiredis's disconnect callback, after a null reply for each command
//   kDropping    ours to free       the end of this turn of the loop, which frees the context
//
// Every loss, and every attempt that fails, ends in kWaiting.  move_to() is the only writer of the state.
#pragma once

#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/backoff.h"
#include "gateway/base/lease.h"
#include "gateway/base/metrics_text.h"
#include "gateway/loop/handles.h"
#include "gateway/loop/loop.h"
#include "gateway/loop/resolver.h"
#include "gateway/redis/reply.h"
#include "gateway/redis/reply_arena.h"
#include "gateway/redis/rule.h"
#include "gateway/redis/server_role.h"

namespace tailgate {

// The reply is valid during the call.  It is null if the link was lost.  It is also null if Redis refuses to
// serve for now (is_unavailable()) on a link that was up: the link is then dropped.
using ReplyCall = std::function<void(const redisReply* reply)>;
// Lease: one command under way.  Its reply is not delivered after the lease has died.
using RedisCall = LeasedCall<const redisReply*>::Lease;

class RedisLink {
 public:
  // All functions are called from the loop, never from inside command() or send().
  struct Events {
    std::function<void()> on_up = {};
    std::function<void()> on_down = {};
    // Called when the server turns out to be unsound, by its role or by LOADING or MASTERDOWN.  This link is
    // being dropped.  `was_up` is false if the link was still in its greeting.  The owner drops the other
    // links to the same server.  A Pub/Sub connection that is up could not find out by itself, because it
    // cannot ask for the role.
    std::function<void(const std::string& why, bool was_up)> on_unsound = {};
    // Called for every reply to a command of send(), and for every message that Redis pushes.
    std::function<void(const redisReply& reply)> on_push = {};
    // Sends a command that Redis answers.  If empty, the link sends ROLE, and PING too if Redis refuses ROLE.
    // Set it on a Pub/Sub connection: there Redis refuses ROLE, and hiredis 0.14.1 never runs PING's
    // callback.
    std::function<void()> probe = {};
    // How often the link reads in one turn of the loop, while bytes are waiting.
    int reads_per_turn = 1;
  };

  // `name` is for logs and CLIENT LIST.  `rule` must outlive the link.
  RedisLink(const Loop& loop, Resolver& resolver, const RedisRule& rule, std::string name, Events events);
  ~RedisLink();
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  bool up() const { return state_ == State::kUp; }
  const std::string& name() const { return name_; }
  std::uint64_t times_lost() const { return times_lost_; }
  // Why the last connection was lost, or the last attempt failed.
  const std::string& why_lost() const { return why_lost_; }
  // The CLIENT ID of this connection.  0 while the link is down, without request_client_id(), or if Redis
  // refuses CLIENT ID.
  std::int64_t client_id() const { return up() ? client_id_ : 0; }

  // Makes each greeting ask for client_id().  Call it before the link is up.
  void request_client_id() { wants_client_id_ = true; }

  // Precondition: up().
  [[nodiscard]] RedisCall command(std::span<const std::string_view> arguments, ReplyCall call);
  [[nodiscard]] RedisCall command(std::initializer_list<std::string_view> arguments, ReplyCall call) {
    return command(std::span(arguments.begin(), arguments.size()), std::move(call));
  }
  // Sends a command whose replies come through on_push (SUBSCRIBE, UNSUBSCRIBE).  Precondition: up().
  void send(std::initializer_list<std::string_view> arguments) {
    send(std::span(arguments.begin(), arguments.size()), push_cb, nullptr);
  }

  // Closes the connection at the end of this turn of the loop, then reconnects.  `why` is for the log.
  void drop(std::string why);
  // Ends the wait for the next attempt.  Call it in on_down, if the loss was no failure of the server.
  void reconnect_now();

 private:
  enum class State { kWaiting, kResolving, kConnecting, kGreeting, kUp, kLosing, kDropping };

  static void connected_cb(const redisAsyncContext* context, int status) noexcept;
  static void disconnected_cb(const redisAsyncContext* context, int status) noexcept;
  static void reply_cb(redisAsyncContext* context, void* reply, void* privdata) noexcept;
  static void push_cb(redisAsyncContext* context, void* reply, void* privdata) noexcept;

  void move_to(State next);
  void on_timer();
  void connect();
  void connect_to(const std::string& address);
  void attach();
  void read();
  void greet();
  void on_greeted();
  void on_role(const redisReply& reply);
  void refuse(const redisReply& reply, const std::string& why);
  void drop_unsound(const std::string& why);
  std::string reason_of(const redisAsyncContext& context) const;
  std::string hint() const;
  void on_lost(const std::string& why);
  void free_dropped();
  void probe();
  bool bytes_waiting() const;
  void note_reply(const redisReply* reply);
  void send(std::span<const std::string_view> arguments, redisCallbackFn* callback, void* privdata);

  const Loop& loop_;
  Resolver& resolver_;
  const RedisRule& rule_;
  std::string name_;
  Events events_;

  State state_ = State::kWaiting;
  ReplyArena arena_;
  redisAsyncContext* context_ = nullptr;  // after a loss hiredis frees it; see the table of states
  std::unique_ptr<Resolver::Query> query_;
  std::vector<RedisCall> greeting_;
  RedisCall ask_role_;
  RedisCall ping_;
  int unanswered_probes_ = 0;
  Backoff backoff_{std::chrono::milliseconds(50), std::chrono::milliseconds(2000)};
  std::string why_dropped_;
  std::string why_lost_;
  bool reason_logged_ = false;  // why_lost_ has been logged since the link was last up
  bool wants_client_id_ = false;
  std::int64_t client_id_ = 0;
  ServerRole role_;                // from the last answer to ROLE on this connection that was no error
  std::string role_error_;         // empty unless the last answer to ROLE on this connection was an error
  bool has_answered_ = false;      // Redis has sent a reply on this connection
  std::size_t address_index_ = 0;  // of the host's addresses; advances after each failed attempt
  bool was_up_ = false;            // the link has been up since its last loss
  std::uint64_t times_lost_ = 0;
  EventHandle readable_;  // null while context_ is null
  EventHandle writable_;  // null while context_ is null
  Timer timer_;           // the next attempt, or the connect timeout
  Timer probe_timer_;
  TurnEnd turn_end_;
};

// Writes the metrics of `links`, labelled with their names.
void write_metrics(MetricsText& out, std::span<const RedisLink* const> links);

}  // namespace tailgate
