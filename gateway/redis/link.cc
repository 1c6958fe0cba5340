#include "gateway/redis/link.h"

#include <event2/event.h>
#include <sys/ioctl.h>

#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/loop/random.h"
#include "gateway/redis/advice.h"

namespace tailgate {

namespace {

// Logs that Redis refuses ROLE or, if `why` is empty, that it answers ROLE again.  All links share one log
// line: only a change of `why` is logged.
void log_role_refused(const std::string& why) {
  static std::string last;
  if (std::exchange(last, why) == why) return;
  if (why.empty()) return log_info("redis.role_permitted", {});
  log_warning("redis.role_refused", {{"why", why}});
}

}  // namespace

RedisLink::RedisLink(const Loop& loop, Resolver& resolver, const RedisRule& rule, std::string name,
                     Events events)
    : loop_(loop),
      resolver_(resolver),
      rule_(rule),
      name_(std::move(name)),
      events_(std::move(events)),
      timer_(loop, [this] { on_timer(); }),
      probe_timer_(loop, [this] { probe(); }),
      turn_end_(loop, [this] { free_dropped(); }) {
  timer_.after(std::chrono::milliseconds(0));
}

RedisLink::~RedisLink() {
  events_ = {};
  if (context_ == nullptr) return;
  context_->data = nullptr;
  redisAsyncFree(context_);
}

void RedisLink::move_to(State next) {
  state_ = next;
  switch (next) {
    case State::kWaiting:
      query_.reset();
      probe_timer_.cancel();
      timer_.after(backoff_.on_failure(random_unit()));
      break;
    case State::kUp:
      was_up_ = true;
      timer_.cancel();
      unanswered_probes_ = 0;
      probe_timer_.after(rule_.probe_every);
      break;
    case State::kDropping:
      query_.reset();
      turn_end_.ask();
      break;
    case State::kResolving:
    case State::kConnecting:
    case State::kGreeting:
    case State::kLosing:
      break;
  }
}

void RedisLink::on_timer() {
  if (state_ == State::kWaiting) {
    connect();
  } else {
    const bool is_leg_silent = rule_.through_leg && state_ == State::kGreeting;
    drop("no connection within " + std::to_string(rule_.connect_timeout.count()) + " ms" +
         (is_leg_silent ? hint() : ""));
  }
}

void RedisLink::connect() {
  timer_.after(rule_.connect_timeout);
  if (!rule_.endpoint.unix_path.empty()) {
    connect_to(rule_.endpoint.unix_path);
    return;
  }
  // The host is resolved again at every attempt, because a failover may have changed its address.
  move_to(State::kResolving);
  query_ = resolver_.lookup(rule_.endpoint.host, [this](Result<Resolver::Addresses> addresses) {
    query_.reset();
    if (!addresses) {
      on_lost("cannot resolve " + rule_.endpoint.host + ": " + addresses.error());
    } else {
      connect_to((*addresses)[address_index_ % addresses->size()]);
    }
  });
}

void RedisLink::connect_to(const std::string& address) {
  move_to(State::kConnecting);
  redisAsyncContext* context = rule_.endpoint.unix_path.empty()
                                   ? redisAsyncConnect(address.c_str(), rule_.endpoint.port)
                                   : redisAsyncConnectUnix(address.c_str());
  if (context == nullptr || context->err != 0) {
    const std::string why = context == nullptr ? "out of memory" : context->errstr;
    if (context != nullptr) redisAsyncFree(context);
    on_lost(why);
    return;
  }
  context_ = context;
  role_ = {};
  role_error_.clear();
  has_answered_ = false;
  context->data = this;
  arena_.serve(context->c);
  attach();
  redisAsyncSetConnectCallback(context, connected_cb);
  redisAsyncSetDisconnectCallback(context, disconnected_cb);
}

// Replaces hiredis's libevent adapter.  The adapter reads only once in a turn.  In hiredis 0.14.1 it also
// makes two system calls after each read, to watch the socket again.
void RedisLink::attach() {
  const auto event_for = [this](short what, event_callback_fn call) {
    EventHandle event(event_new(loop_.base(), context_->c.fd, what, call, this));
    if (!event) std::abort();
    return event;
  };
  static const auto self = [](void* link) { return static_cast<RedisLink*>(link); };
  readable_ = event_for(EV_READ | EV_PERSIST, [](int, short, void* link) noexcept { self(link)->read(); });
  writable_ = event_for(EV_WRITE, [](int, short, void* link) noexcept {
    self(link)->loop_.measure_turn();
    redisAsyncHandleWrite(self(link)->context_);
  });
  auto& hooks = context_->ev;
  hooks.data = this;
  hooks.addRead = [](void* link) noexcept { event_add(self(link)->readable_.get(), nullptr); };
  hooks.delRead = [](void* link) noexcept { event_del(self(link)->readable_.get()); };
  hooks.addWrite = [](void* link) noexcept { event_add(self(link)->writable_.get(), nullptr); };
  hooks.delWrite = [](void* link) noexcept { event_del(self(link)->writable_.get()); };
  hooks.cleanup = [](void* link) noexcept {
    self(link)->readable_.reset();
    self(link)->writable_.reset();
  };
}

// Only the subscriber link reads more than once in a turn.  On the other links the gateway handles the
// replies of each read at once, so that Redis gets the next commands earlier.  With eight reads in a turn,
// the gateway served 10 to 30 % fewer pages a second.
void RedisLink::read() {
  loop_.measure_turn();
  for (int left = events_.reads_per_turn;; --left) {
    redisAsyncHandleRead(context_);
    if (left == 1 || !bytes_waiting()) return;
  }
}

void RedisLink::connected_cb(const redisAsyncContext* context, int status) noexcept {
  auto* link = static_cast<RedisLink*>(context->data);
  if (link == nullptr) return;
  if (status != REDIS_OK) link->context_ = nullptr;  // hiredis frees the context after this callback
  if (link->state_ != State::kConnecting) return;
  if (status == REDIS_OK) {
    link->greet();
  } else {
    link->on_lost(context->errstr);
  }
}

void RedisLink::disconnected_cb(const redisAsyncContext* context, int /*status*/) noexcept {
  auto* link = static_cast<RedisLink*>(context->data);
  if (link == nullptr) return;
  link->context_ = nullptr;
  if (link->state_ == State::kDropping) {
    link->on_lost(link->why_dropped_);
  } else {
    link->on_lost(link->reason_of(*context));
  }
}

// Why Redis, or the network, has closed the connection.
std::string RedisLink::reason_of(const redisAsyncContext& context) const {
  std::string why = context.err != 0 ? context.errstr : "connection closed";
  // Which of these errors occurs depends on the moment at which the server closes the connection.  With one
  // text for all of them, on_lost() does not log each change.
  for (const int error : {ECONNRESET, EPIPE}) {
    if (why == std::strerror(error)) why = "Server closed the connection";
  }
  if (!was_up_ && !role_error_.empty()) return why + "; Redis said: " + role_error_;
  return why + hint();
}

// What may be wrong if Redis has not answered on this connection, and the link has never been up.
std::string RedisLink::hint() const {
  if (has_answered_ || was_up_ || times_lost_ > 0) return {};
  if (rule_.through_leg) return "; nginx's leg at redis.tls_leg ended it, and nginx's error log says why";
  // A server that expects TLS closes a connection that begins with a command, and says nothing.
  return rule_.endpoint.unix_path.empty() ? "; does this port speak TLS? then rediss://" : "";
}

void RedisLink::greet() {
  move_to(State::kGreeting);
  greeting_.clear();
  const auto expect_ok = [this](const char* verb) {
    return [this, verb](const redisReply* reply) {
      if (reply != nullptr && reply->type == REDIS_REPLY_ERROR) drop(std::string(verb) + ": " + reply->str);
    };
  };
  if (!rule_.user.empty()) {
    greeting_.push_back(command({"AUTH", rule_.user, rule_.password}, expect_ok("AUTH")));
  } else if (!rule_.password.empty()) {
    greeting_.push_back(command({"AUTH", rule_.password}, expect_ok("AUTH")));
  }
  greeting_.push_back(command({"ROLE"}, [this](const redisReply* reply) {
    if (reply != nullptr) on_role(*reply);
  }));
  if (rule_.database != 0) {
    greeting_.push_back(command({"SELECT", std::to_string(rule_.database)}, expect_ok("SELECT")));
  }
  // A refusal is ignored, because the name only helps people who read CLIENT LIST.
  greeting_.push_back(command({"CLIENT", "SETNAME", "tailgate-" + name_}, [](const redisReply*) {}));
  client_id_ = 0;
  if (wants_client_id_) {
    greeting_.push_back(command({"CLIENT", "ID"}, [this](const redisReply* reply) {
      if (reply != nullptr && reply->type == REDIS_REPLY_INTEGER) client_id_ = reply->integer;
    }));
  }
  // PING shows whether the server can serve.  A server that is loading, or a replica that has lost its
  // primary, refuses PING.
  greeting_.push_back(command({"PING"}, [this](const redisReply* reply) {
    if (reply == nullptr || state_ != State::kGreeting) return;
    // A server that cannot save (MISCONF) refuses writes and PING, but not reads.  Tailgate only reads.
    if (reply->type == REDIS_REPLY_ERROR && !text_of(*reply).starts_with("MISCONF")) {
      refuse(*reply, std::string("PING: ") + reply->str);
    } else {
      on_greeted();
    }
  }));
}

// Judges the answer to ROLE.
void RedisLink::on_role(const redisReply& reply) {
  if (state_ != State::kGreeting && state_ != State::kUp) return;
  const std::string_view error = reply.type == REDIS_REPLY_ERROR ? text_of(reply) : std::string_view();
  const bool is_news = std::exchange(role_error_, error) != error;
  if (up() && is_news) log_role_refused(role_error_);
  // The last known role stays, so that a change in the meantime shows when Redis answers ROLE again.
  if (!role_error_.empty()) return;
  const ServerRole before = std::exchange(role_, read_role(reply));
  std::string why = why_unsound(role_);
  // A demoted primary is sound again as soon as it follows its new primary.  But messages that were published
  // at the new primary in the meantime are missing, so a change of the role drops the link too.
  if (why.empty() && before.known() && role_.known()) why = why_changed(before, role_);
  if (!why.empty()) drop_unsound(why);
}

void RedisLink::refuse(const redisReply& reply, const std::string& why) {
  if (is_server_unsound(reply)) {
    drop_unsound(why);
  } else {
    drop(why);
  }
}

void RedisLink::drop_unsound(const std::string& why) {
  const bool was_up = up();
  drop(why);
  if (events_.on_unsound) events_.on_unsound(why, was_up);
}

void RedisLink::on_greeted() {
  move_to(State::kUp);
  log_role_refused(role_error_);
  log_info("redis.up", {{"link", name_}});
  reason_logged_ = false;
  if (events_.on_up) events_.on_up();
}

void RedisLink::on_lost(const std::string& why) {
  const bool was_up = std::exchange(was_up_, false);
  move_to(State::kWaiting);
  if (!was_up) ++address_index_;
  // Logs one line for an outage, and another each time its reason changes.
  if (was_up || !reason_logged_ || why != why_lost_) {
    log_warning(
        was_up ? "redis.lost" : "redis.unreachable",
        {{"link", name_}, {"address", text_of(rule_.endpoint)}, {"why", why}, {"advice", advice_about(why)}});
    reason_logged_ = true;
  }
  why_lost_ = why;
  if (was_up) {
    ++times_lost_;
    if (events_.on_down) events_.on_down();
  }
}

void RedisLink::drop(std::string why) {
  if (state_ == State::kDropping || state_ == State::kWaiting) return;
  why_dropped_ = std::move(why);
  move_to(State::kDropping);
}

void RedisLink::reconnect_now() {
  if (state_ != State::kWaiting) return;
  backoff_.on_success();
  timer_.after(std::chrono::milliseconds(0));
}

// Called at the end of a turn, outside every hiredis callback.  In hiredis 0.14.1, freeing a context inside
// onConnect is a use after free.
void RedisLink::free_dropped() {
  if (state_ != State::kDropping) return;
  // disconnected_cb() sets context_ to null, but hiredis calls it only if the context was connected.
  if (context_ != nullptr) redisAsyncFree(context_);
  if (state_ != State::kDropping) return;
  context_ = nullptr;
  on_lost(why_dropped_);
}

void RedisLink::probe() {
  if (!up()) return;
  // Resets the backoff here, not at the greeting.  Otherwise a link that breaks at its first command would
  // reconnect twenty times a second.
  if (unanswered_probes_ == 0) backoff_.on_success();
  if (unanswered_probes_ >= 2) {
    drop("no answer for " + std::to_string(unanswered_probes_ * rule_.probe_every.count()) + " ms");
    return;
  }
  ++unanswered_probes_;
  if (events_.probe) {
    events_.probe();
  } else if (!ask_role_.under_way() && !ping_.under_way()) {
    ask_role_ = command({"ROLE"}, [this](const redisReply* reply) {
      if (reply != nullptr) on_role(*reply);
    });
    // Only PING shows whether a server that refuses ROLE can serve.
    if (!role_.known() || !role_error_.empty()) ping_ = command({"PING"}, [](const redisReply*) {});
  }
  probe_timer_.after(rule_.probe_every);
}

bool RedisLink::bytes_waiting() const {
  int bytes = 0;
  return up() && ioctl(context_->c.fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

RedisCall RedisLink::command(std::span<const std::string_view> arguments, ReplyCall call) {
  // Owned by hiredis, as the command's private data, until reply_cb() deletes it.
  auto* pending = new LeasedCall<const redisReply*>(std::move(call));
  RedisCall lease = pending->lease();
  send(arguments, reply_cb, pending);
  return lease;
}

void RedisLink::send(std::span<const std::string_view> arguments, redisCallbackFn* callback, void* privdata) {
  assert(context_ != nullptr &&
         (state_ == State::kUp || state_ == State::kGreeting || state_ == State::kDropping));
  std::vector<const char*> texts;
  std::vector<std::size_t> lengths;
  texts.reserve(arguments.size());
  lengths.reserve(arguments.size());
  for (const std::string_view argument : arguments) {
    texts.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  if (redisAsyncCommandArgv(context_, callback, privdata, static_cast<int>(texts.size()), texts.data(),
                            lengths.data()) != REDIS_OK) {
    std::abort();  // hiredis refuses a command only while it frees the context, when no command may be sent
  }
}

// hiredis hands out the null replies of a lost connection before it runs the disconnect callback.  The link
// must not count as up during these replies.
void RedisLink::note_reply(const redisReply* reply) {
  if (reply != nullptr) {
    unanswered_probes_ = 0;
    has_answered_ = true;
  } else if (state_ == State::kUp || state_ == State::kGreeting) {
    move_to(State::kLosing);
  }
}

void RedisLink::reply_cb(redisAsyncContext* context, void* reply, void* privdata) noexcept {
  const std::unique_ptr<LeasedCall<const redisReply*>> call(
      static_cast<LeasedCall<const redisReply*>*>(privdata));
  auto* link = static_cast<RedisLink*>(context->data);
  if (link == nullptr) return;  // the link is being destroyed
  const auto* answer = static_cast<const redisReply*>(reply);
  link->note_reply(answer);
  if (answer != nullptr && link->up() && is_unavailable(*answer)) {
    link->refuse(*answer, answer->str);
    answer = nullptr;
  }
  (*call)(answer);
}

void RedisLink::push_cb(redisAsyncContext* context, void* reply, void* /*privdata*/) noexcept {
  auto* link = static_cast<RedisLink*>(context->data);
  if (link == nullptr) return;  // the link is being destroyed
  const auto* answer = static_cast<const redisReply*>(reply);
  link->note_reply(answer);
  if (answer != nullptr) link->events_.on_push(*answer);
}

void write_metrics(MetricsText& out, std::span<const RedisLink* const> links) {
  const auto by_link = [&](const char* name, MetricsText::Type type, const char* help, auto value) {
    out.begin(name, type, help);
    for (const RedisLink* link : links) out.sample(MetricsText::label("link", link->name()), value(*link));
  };
  by_link("tailgate_redis_up", MetricsText::Type::kGauge, "1 while the link to Redis is up.",
          [](const RedisLink& link) { return std::uint64_t{link.up()}; });
  by_link("tailgate_redis_lost_total", MetricsText::Type::kCounter, "How often the link to Redis was lost.",
          [](const RedisLink& link) { return link.times_lost(); });
}

}  // namespace tailgate
