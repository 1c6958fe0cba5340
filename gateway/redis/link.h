// RedisLink: one connection to Redis that heals itself.
//
// Knows hiredis's async API and the greeting (AUTH, SELECT, PING); knows no key
// and no channel.  Commands are sent only while the link is up; when it goes down each one still
// unanswered gets a null reply.  Nothing is repeated: what a lost reply means is the caller's to say.
#pragma once

#include <hiredis/async.h>
#include <hiredis/hiredis.h>

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
#include "gateway/base/metrics_text.h"
#include "gateway/loop/loop.h"
#include "gateway/loop/resolver.h"
#include "gateway/redis/reply_arena.h"
#include "gateway/redis/rule.h"

namespace tailgate {

// Called at most once; the reply lives during the call and is null when the link was lost.  The link may not
// be destroyed in it: its memory is where the reply stands.
using ReplyCall = std::function<void(const redisReply* reply)>;

// One command under way.  Destroying it makes sure that its reply is never delivered.
class RedisCall {
 public:
  struct Pending;
  RedisCall() = default;
  explicit RedisCall(Pending* pending);
  RedisCall(RedisCall&& other) noexcept;
  RedisCall& operator=(RedisCall&& other) noexcept;
  ~RedisCall();

  bool under_way() const { return pending_ != nullptr; }

 private:
  friend class RedisLink;
  void cancel();
  Pending* pending_ = nullptr;
};

class RedisLink {
 public:
  // Both are called from the loop, never from inside command(); in neither may the link be destroyed.
  struct Events {
    std::function<void()> on_up;
    std::function<void()> on_down;
  };

  // `name` is for logs and CLIENT LIST.  `rule` outlives the link.
  RedisLink(const Loop& loop, Resolver& resolver, const RedisRule& rule, std::string name, Events events);
  ~RedisLink();
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  bool up() const { return state_ == State::kUp; }
  const std::string& name() const { return name_; }
  std::uint64_t times_lost() const { return times_lost_; }
  // How often it has rested between two reads.
  std::uint64_t rests() const { return rests_; }
  // Why it was lost, or could not be had, the last time.
  const std::string& why_lost() const { return why_lost_; }
  // What Redis calls this connection (CLIENT ID); 0 while the link is not up, or when Redis does not say.
  std::int64_t client_id() const { return up() ? client_id_ : 0; }

  // Has so much come since this was asked last that one read was not enough, and is there more to be read in
  // the next turn?
  bool more_coming();

  // `rest` is asked behind each read and each write how long the next read may wait.  Call it at most once,
  // before the link is up.
  void set_rest(std::function<std::chrono::microseconds()> rest);
  // Asks for client_id() in each greeting.  Call it before the link is up.
  void request_client_id() { wants_client_id_ = true; }

  // Precondition: up().
  [[nodiscard]] RedisCall command(std::span<const std::string_view> arguments, ReplyCall call);
  [[nodiscard]] RedisCall command(std::initializer_list<std::string_view> arguments, ReplyCall call) {
    return command(std::span(arguments.begin(), arguments.size()), std::move(call));
  }

  // Drops the connection after this turn, for the reason given, and begins anew.
  void doom(std::string why);

 private:
  friend class SubscriberLink;
  enum class State { kWaiting, kResolving, kConnecting, kGreeting, kUp, kLosing, kDoomed };

  static void connected_cb(const redisAsyncContext* context, int status) noexcept;
  static void disconnected_cb(const redisAsyncContext* context, int status) noexcept;
  static void reply_cb(redisAsyncContext* context, void* reply, void* privdata) noexcept;
  static void add_read_cb(void* events) noexcept;

  void connect();
  void connect_to(const std::string& address);
  void greet();
  void greeted();
  void lost(const std::string& why);
  void bury();
  void tick();
  void read_on();
  bool more_waiting() const;
  // Something came in: the link is alive.
  void note_life() { unanswered_probes_ = 0; }
  // hiredis hands out the null replies of a lost connection before it says that it is lost: nobody may
  // take this link for up in between.
  void note_losing() {
    if (state_ == State::kUp || state_ == State::kGreeting) state_ = State::kLosing;
  }

  const Loop& loop_;
  Resolver& resolver_;
  const RedisRule& rule_;
  std::string name_;
  Events events_;

  State state_ = State::kWaiting;
  ReplyArena arena_;
  redisAsyncContext* context_ = nullptr;  // borrowed: hiredis frees it itself after any loss
  std::unique_ptr<Resolver::Query> query_;
  std::vector<RedisCall> greeting_;
  RedisCall ping_;
  // Replaces the PING where a link may carry no command (Pub/Sub).
  std::function<void()> probe_;
  int unanswered_probes_ = 0;
  Backoff backoff_{std::chrono::milliseconds(50), std::chrono::milliseconds(2000)};
  std::string why_doomed_;
  std::string why_lost_;
  bool wants_client_id_ = false;
  std::int64_t client_id_ = 0;
  bool reason_logged_ = false;  // the log has the reason already
  std::size_t turn_ = 0;  // which of the name's addresses is tried: the next after each attempt that failed
  bool was_up_ = false;   // since the last loss
  std::uint64_t times_lost_ = 0;
  std::function<std::chrono::microseconds()> rest_;
  std::unique_ptr<ShortTimer> rested_;  // only where rest_ is
  std::uint64_t rests_ = 0;
  void (*add_read_)(void* events) = nullptr;  // the adapter's own
  Timer timer_;                               // the next attempt, or the end of patience with this one
  Timer liveness_;                            // the next probe
  TurnEnd funeral_;
};

// The metrics of `links`, by their names.
void write_metrics(MetricsText& out, std::span<const RedisLink* const> links);

// What a reply says as text; empty for one that holds none.
std::string_view text_of(const redisReply& reply);
// Why a reply is of no use, where an array was expected.
std::string_view error_of(const redisReply& reply);
// Is the reply an error that says Redis cannot serve now (LOADING, MASTERDOWN, NOAUTH, READONLY, …)?
bool is_unavailable(const redisReply& reply);
bool is_wrong_type(const redisReply& reply);

}  // namespace tailgate
