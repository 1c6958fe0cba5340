#include "gateway/redis/link.h"

#include <hiredis/adapters/libevent.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdlib>
#include <utility>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/loop/random.h"

namespace tailgate {

namespace {

#if HIREDIS_MAJOR < 1
// The adapter's own read event is good for one read: hiredis arms it again behind each, which is two calls of
// the kernel.  From 1.0 on it stays armed.
void keep_reading(const redisAsyncContext& context, event_base* base) {
  auto* events = static_cast<redisLibeventEvents*>(context.ev.data);
  event_free(events->rev);
  events->rev = event_new(base, context.c.fd, EV_READ | EV_PERSIST, redisLibeventReadEvent, events);
  if (events->rev == nullptr || event_add(events->rev, nullptr) != 0) std::abort();
}
#endif

}  // namespace

// Belongs to hiredis, as a command's private data, until its reply has come or the link is lost.
struct RedisCall::Pending {
  ReplyCall call;
  RedisCall* handle = nullptr;
};

RedisCall::RedisCall(Pending* pending) : pending_(pending) {
  if (pending_ != nullptr) pending_->handle = this;
}

RedisCall::RedisCall(RedisCall&& other) noexcept : pending_(std::exchange(other.pending_, nullptr)) {
  if (pending_ != nullptr) pending_->handle = this;
}

RedisCall& RedisCall::operator=(RedisCall&& other) noexcept {
  if (this == &other) return *this;
  cancel();
  pending_ = std::exchange(other.pending_, nullptr);
  if (pending_ != nullptr) pending_->handle = this;
  return *this;
}

RedisCall::~RedisCall() {
  cancel();
}

void RedisCall::cancel() {
  if (pending_ == nullptr) return;
  pending_->handle = nullptr;
  pending_->call = nullptr;
}

RedisLink::RedisLink(const Loop& loop, Resolver& resolver, const RedisRule& rule, std::string name,
                     Events events)
    : loop_(loop),
      resolver_(resolver),
      rule_(rule),
      name_(std::move(name)),
      events_(std::move(events)),
      timer_(loop,
             [this] {
               if (state_ == State::kWaiting) {
                 connect();
               } else if (state_ != State::kUp) {
                 doom("no connection within " + std::to_string(rule_.connect_timeout.count()) + " ms");
               }
             }),
      liveness_(loop, [this] { tick(); }),
      funeral_(loop, [this] { bury(); }) {
  timer_.after(std::chrono::milliseconds(0));
}

RedisLink::~RedisLink() {
  events_ = {};
  if (context_ == nullptr) return;
  context_->data = nullptr;
  redisAsyncFree(context_);
}

void RedisLink::connect() {
  timer_.after(rule_.connect_timeout);
  if (!rule_.endpoint.unix_path.empty()) {
    connect_to(rule_.endpoint.unix_path);
    return;
  }
  // Asked again at every attempt: a failover may have moved the name.
  state_ = State::kResolving;
  query_ = resolver_.lookup(rule_.endpoint.host, [this](Result<Resolver::Addresses> addresses) {
    query_.reset();
    if (state_ != State::kResolving) return;
    if (!addresses) {
      lost("cannot resolve " + rule_.endpoint.host + ": " + addresses.error());
    } else {
      connect_to((*addresses)[turn_ % addresses->size()]);
    }
  });
}

void RedisLink::connect_to(const std::string& address) {
  state_ = State::kConnecting;
  redisAsyncContext* context = rule_.endpoint.unix_path.empty()
                                   ? redisAsyncConnect(address.c_str(), rule_.endpoint.port)
                                   : redisAsyncConnectUnix(address.c_str());
  if (context == nullptr || context->err != 0) {
    const std::string why = context == nullptr ? "out of memory" : context->errstr;
    if (context != nullptr) redisAsyncFree(context);
    lost(why);
    return;
  }
  context_ = context;
  context->data = this;
  arena_.serve(context->c);
  redisLibeventAttach(context, loop_.base());
#if HIREDIS_MAJOR < 1
  keep_reading(*context, loop_.base());
#endif
  if (rest_) add_read_ = std::exchange(context->ev.addRead, add_read_cb);
  redisAsyncSetConnectCallback(context, connected_cb);
  redisAsyncSetDisconnectCallback(context, disconnected_cb);
}

void RedisLink::set_rest(std::function<std::chrono::microseconds()> rest) {
  rest_ = std::move(rest);
  rested_ = std::make_unique<ShortTimer>(loop_, [this] { read_on(); });
}

// hiredis wants to hear of what there is to read; it says so again behind each read and each write.
void RedisLink::add_read_cb(void* events) noexcept {
  auto* link = static_cast<RedisLink*>(static_cast<redisLibeventEvents*>(events)->context->data);
  if (link == nullptr || link->rested_->pending()) return;
  const auto rest = link->rest_();
  // What has come already is company enough.
  if (rest.count() > 0 && !link->more_waiting()) {
    link->context_->ev.delRead(events);
    link->rested_->after(rest);
    ++link->rests_;
  } else {
    link->add_read_(events);
  }
}

void RedisLink::read_on() {
  if (more_waiting()) {
    redisAsyncHandleRead(context_);  // without asking the kernel first: it would say so in the next turn
  } else {
    add_read_(context_->ev.data);
  }
}

void RedisLink::connected_cb(const redisAsyncContext* context, int status) noexcept {
  auto* link = static_cast<RedisLink*>(context->data);
  if (link == nullptr) return;
  if (status != REDIS_OK) link->context_ = nullptr;  // hiredis frees it when we return
  if (link->state_ != State::kConnecting) return;
  if (status == REDIS_OK) {
    link->greet();
  } else {
    link->lost(context->errstr);
  }
}

void RedisLink::disconnected_cb(const redisAsyncContext* context, int /*status*/) noexcept {
  auto* link = static_cast<RedisLink*>(context->data);
  if (link == nullptr) return;
  link->context_ = nullptr;
  if (link->state_ == State::kDoomed) {
    link->lost(link->why_doomed_);
  } else {
    link->lost(context->err != 0 ? context->errstr : "connection closed");
  }
}

void RedisLink::greet() {
  state_ = State::kGreeting;
  greeting_.clear();
  const auto expect_ok = [this](const char* what) {
    return [this, what](const redisReply* reply) {
      if (reply != nullptr && reply->type == REDIS_REPLY_ERROR) doom(std::string(what) + ": " + reply->str);
    };
  };
  if (!rule_.user.empty()) {
    greeting_.push_back(command({"AUTH", rule_.user, rule_.password}, expect_ok("AUTH")));
  } else if (!rule_.password.empty()) {
    greeting_.push_back(command({"AUTH", rule_.password}, expect_ok("AUTH")));
  }
  if (rule_.database != 0) {
    greeting_.push_back(command({"SELECT", std::to_string(rule_.database)}, expect_ok("SELECT")));
  }
  // A name in CLIENT LIST helps whoever looks there; a server that forbids it loses nothing.
  greeting_.push_back(command({"CLIENT", "SETNAME", "tailgate-" + name_}, [](const redisReply*) {}));
  client_id_ = 0;
  if (wants_client_id_) {
    greeting_.push_back(command({"CLIENT", "ID"}, [this](const redisReply* reply) {
      if (reply != nullptr && reply->type == REDIS_REPLY_INTEGER) client_id_ = reply->integer;
    }));
  }
  // A server that is loading, or a replica that has lost its master, says so here.
  greeting_.push_back(command({"PING"}, [this](const redisReply* reply) {
    if (reply == nullptr || state_ != State::kGreeting) return;
    // One that cannot save (MISCONF) refuses writes, and PING with them; we only read.
    if (reply->type == REDIS_REPLY_ERROR && !std::string_view(reply->str).starts_with("MISCONF")) {
      doom(std::string("PING: ") + reply->str);
    } else {
      greeted();
    }
  }));
}

void RedisLink::greeted() {
  state_ = State::kUp;
  was_up_ = true;
  timer_.cancel();
  unanswered_probes_ = 0;
  liveness_.after(rule_.probe_every);
  log_info("redis.up", {{"link", name_}});
  reason_logged_ = false;
  if (events_.on_up) events_.on_up();
}

// The one place where a link, or an attempt at one, ends.
void RedisLink::lost(const std::string& why) {
  const bool was_up = std::exchange(was_up_, false);
  state_ = State::kWaiting;
  if (!was_up) ++turn_;
  query_.reset();
  liveness_.cancel();
  if (rested_) rested_->cancel();
  const auto wait = backoff_.on_failure(random_unit());
  timer_.after(wait);
  // An outage is one line, and one more whenever its reason changes.
  if (was_up || !reason_logged_ || why != why_lost_) {
    log_warning(was_up ? "redis.lost" : "redis.unreachable", {{"link", name_}, {"why", why}});
    reason_logged_ = true;
  }
  why_lost_ = why;
  if (was_up) {
    ++times_lost_;
    if (events_.on_down) events_.on_down();
  }
}

void RedisLink::doom(std::string why) {
  if (state_ == State::kDoomed || state_ == State::kWaiting) return;
  state_ = State::kDoomed;
  why_doomed_ = std::move(why);
  funeral_.ask();
}

// Outside every hiredis callback: freeing a context inside onConnect is a use after free (0.14.1).
void RedisLink::bury() {
  if (state_ != State::kDoomed) return;
  query_.reset();
  if (context_ == nullptr) {
    lost(why_doomed_);
    return;
  }
  redisAsyncContext* context = context_;
  // Before it is connected hiredis calls nothing back when the context is freed.
  const bool will_tell = (context->c.flags & REDIS_CONNECTED) != 0;
  redisAsyncFree(context);
  if (!will_tell) {
    context_ = nullptr;
    lost(why_doomed_);
  }
}

void RedisLink::tick() {
  if (state_ != State::kUp) return;
  // Not at the greeting: a link that is lost again over the first thing it is asked must not be made
  // anew twenty times a second.
  if (unanswered_probes_ == 0) backoff_.on_success();
  if (unanswered_probes_ >= 2) {
    doom("no answer for " + std::to_string(unanswered_probes_ * rule_.probe_every.count()) + " ms");
    return;
  }
  ++unanswered_probes_;
  if (probe_) {
    probe_();
  } else if (!ping_.under_way()) {
    ping_ = command({"PING"}, [](const redisReply*) {});
  }
  liveness_.after(rule_.probe_every);
}

// hiredis reads 16 KB a turn.  Where that is full of messages at least a quarter of it is their texts; with
// less the read has taken all there was, but for a text that is not whole yet and for which nobody waits.
// While the link rests, what waits is not for the next turn.
bool RedisLink::more_coming() {
  constexpr std::size_t kHardlyAll = 4UL * 1024;
  if (arena_.take_came() < kHardlyAll) return false;
  return (rested_ == nullptr || !rested_->pending()) && more_waiting();
}

bool RedisLink::more_waiting() const {
  int bytes = 0;
  return up() && ioctl(context_->c.fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

RedisCall RedisLink::command(std::span<const std::string_view> arguments, ReplyCall call) {
  assert(context_ != nullptr &&
         (state_ == State::kUp || state_ == State::kGreeting || state_ == State::kDoomed));
  std::vector<const char*> texts;
  std::vector<std::size_t> lengths;
  texts.reserve(arguments.size());
  lengths.reserve(arguments.size());
  for (const std::string_view argument : arguments) {
    texts.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  auto* pending = new RedisCall::Pending{std::move(call), nullptr};
  RedisCall handle(pending);
  if (redisAsyncCommandArgv(context_, reply_cb, pending, static_cast<int>(texts.size()), texts.data(),
                            lengths.data()) != REDIS_OK) {
    std::abort();  // hiredis refuses only on a context that is going down, and then we are not up
  }
  return handle;
}

void RedisLink::reply_cb(redisAsyncContext* context, void* reply, void* privdata) noexcept {
  auto* pending = static_cast<RedisCall::Pending*>(privdata);
  auto* link = static_cast<RedisLink*>(context->data);
  const auto* answer = static_cast<const redisReply*>(reply);
  if (link != nullptr && answer == nullptr) link->note_losing();
  if (link != nullptr && answer != nullptr) {
    link->note_life();
    if (link->state_ == State::kUp && is_unavailable(*answer)) {
      link->doom(answer->str);
      answer = nullptr;
    }
  }
  if (pending->handle != nullptr) pending->handle->pending_ = nullptr;
  const ReplyCall call = std::move(pending->call);
  delete pending;
  if (call && link != nullptr) call(answer);
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

std::string_view text_of(const redisReply& reply) {
  return {reply.str, reply.str == nullptr ? 0 : static_cast<std::size_t>(reply.len)};
}

std::string_view error_of(const redisReply& reply) {
  return reply.type == REDIS_REPLY_ERROR ? text_of(reply) : "an answer of another kind";
}

bool is_unavailable(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ERROR) return false;
  const std::string_view text = text_of(reply);
  constexpr std::array<std::string_view, 7> kWords = {"LOADING",  "MASTERDOWN", "NOAUTH",     "READONLY",
                                                      "TRYAGAIN", "BUSY",       "CLUSTERDOWN"};
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return text.starts_with(word); });
}

bool is_wrong_type(const redisReply& reply) {
  return reply.type == REDIS_REPLY_ERROR && text_of(reply).starts_with("WRONGTYPE");
}

}  // namespace tailgate
