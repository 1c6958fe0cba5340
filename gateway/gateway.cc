#include "gateway/gateway.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/base/wall_time.h"
#include "gateway/config/changes.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// At most this much of the drain's deadline is reserved for sending the last bytes of ended streams.
constexpr std::chrono::milliseconds kLongestFlush{1000};
constexpr std::chrono::milliseconds kWrittenPoll{20};
constexpr std::chrono::milliseconds kStartingPoll{50};
// How long a connection that was accepted just before a hand-over may take for its first request.
constexpr std::chrono::milliseconds kFirstRequest{250};

// The providers of `config`.  The pointer keeps `config` alive.
std::shared_ptr<const ProviderList> providers_of(const std::shared_ptr<const Config>& config) {
  return {config, &config->providers};
}

}  // namespace

Gateway::Gateway(std::shared_ptr<const Config> config, Sockets sockets,
                 std::vector<std::string> identity_keys, LoadConfig reload)
    : reload_(std::move(reload)),
      first_config_(std::move(config)),
      config_(first_config_),
      redis_(first_config_->redis),
      resolver_(loop_),
      deadlines_(loop_),
      seal_(std::move(identity_keys)),
      streams_server_(loop_, std::move(sockets.streams),
                      [this](std::unique_ptr<Exchange> exchange) { requests_.handle(std::move(exchange)); }),
      auth_server_(loop_, std::move(sockets.auth),
                   [this](std::unique_ptr<Exchange> exchange) { auth_.handle_request(std::move(exchange)); }),
      ops_server_(
          loop_, std::move(sockets.ops),
          [this](std::unique_ptr<Exchange> exchange) { ops_.handle_request(std::move(exchange)); },
          DescriptorShare::kReserved),
      fan_out_(loop_, metrics_),
      streams_(loop_, deadlines_, metrics_),
      memory_(loop_, streams_, [this] { return config_->limits.memory_bytes; }),
      channels_(loop_, resolver_, redis_, fan_out_.hub()),
      records_link_(loop_, resolver_, redis_, "records", link_events([this] {
                      records_.on_up();
                      streams_.on_redis_up();
                    })),
      logs_link_(loop_, resolver_, redis_, "logs", link_events([this] {
                   log_feeds_.on_up();
                   streams_.on_redis_up();
                 })),
      pages_link_(loop_, resolver_, redis_, "pages", link_events([this] { streams_.on_redis_up(); })),
      records_(loop_, records_link_, channels_, deadlines_, redis_.wakeups),
      log_reader_(logs_link_),
      log_feeds_(loop_, logs_link_, log_reader_, channels_, fan_out_.hub(), redis_.wakeups),
      read_check_(loop_,
                  {.channels = channels_, .records = records_link_, .logs = logs_link_, .pages = pages_link_},
                  first_config_->routes, redis_.wakeups),
      applications_(loop_, resolver_),
      keys_(loop_, resolver_, providers_of(config_)),
      answers_(streams_, drain_),
      requests_(request_resources()),
      auth_(loop_, config_, seal_, drain_, keys_),
      ops_(
          links(), read_check_, keys_, drain_, [this](MetricsText& out) { write_metrics(out); },
          [this] { drain(); }),
      on_term_(loop_, SIGTERM, [this] { on_terminate(); }),
      on_int_(loop_, SIGINT, [this] { on_terminate(); }),
      on_hup_(loop_, SIGHUP, [this] { on_reload(); }),
      inherited_(sockets.inherited),
      starting_(loop_,
                [this] {
                  if (!ops_.check_readiness() && !drain_.draining()) starting_.after(kStartingPoll);
                }),
      settle_(loop_, [this] { end_streams(); }),
      deadline_(loop_, [this] { end_rest(); }),
      stopping_(loop_, [this] { stop_once_written(); }) {
  starting_.after(kStartingPoll);
  streams_server_.start();
  auth_server_.start();
  ops_server_.start();
}

// Streams use members that are declared after `streams_`, so the streams die first.
Gateway::~Gateway() {
  streams_.clear();
}

RequestHandler::Resources Gateway::request_resources() {
  const Opening::Sources opening{.records = records_, .applications = applications_, .deadlines = deadlines_};
  return {.config = config_,
          .seal = seal_,
          .memory = memory_,
          .drain = drain_,
          .streams = streams_,
          .answers = answers_,
          .events = {.opening = opening, .hub = fan_out_.hub(), .channels = channels_, .answers = answers_},
          .logs = {.opening = opening,
                   .hub = fan_out_.hub(),
                   .log_reader = log_reader_,
                   .log_feeds = log_feeds_,
                   .answers = answers_},
          .pages = {.opening = opening, .link = pages_link_, .answers = answers_}};
}

Ops::Links Gateway::links() const {
  return {&channels_.link(), &records_link_, &logs_link_, &pages_link_};
}

RedisLink::Events Gateway::link_events(std::function<void()> on_up) {
  return {.on_up = std::move(on_up),
          .on_unsound = [this](const std::string& why, bool was_up) { on_unsound(why, was_up); }};
}

// All links lead to the same address, usually to the same server.  If a link that was up finds its server
// unsound, the others are dropped too.  A link in its greeting may have reached another server, so it drops
// the others only if no link in `links` is up.
void Gateway::on_unsound(const std::string& why, bool was_up) {
  const std::array links = {&records_link_, &logs_link_, &pages_link_};
  if (!was_up && std::ranges::any_of(links, [](const RedisLink* link) { return link->up(); })) return;
  channels_.drop(why);
  for (RedisLink* link : links) {
    if (link->up()) link->drop(why);
  }
}

void Gateway::run() {
  loop_.run();
}

void Gateway::on_reload() {
  auto config = reload_();
  const Status files = config ? keys_.check_new_files((*config)->providers) : Error{config.error()};
  if (!files) {
    log_error("config.refused", {{"why", files.error()}});
    ++reloads_refused_;
    // Reads the keys even so.  Otherwise a withdrawn key would stay trusted because of an unrelated mistake.
    read_keys_again();
    return;
  }
  config_ = *config;
  take_redis_rule(config_->redis);
  read_check_.replace_routes(config_->routes);
  read_keys_again();
  ++reloads_;
  log_info("config.reloaded");
  const auto keys_to_wait = keys_that_need_a_restart(*first_config_, **config);
  if (!keys_to_wait.empty()) log_warning("config.needs_restart", {{"keys", join(keys_to_wait, ", ")}});
}

void Gateway::read_keys_again() {
  auth_.on_reload();  // comes first, because keys_.on_reload() may judge requests that wait for keys
  keys_.on_reload(providers_of(config_));
  // Unlike a start, a reload does not make a missing key file: the keys in use stay valid, and the log tells
  // the operator.
  if (auto keys = read_identity_keys(config_->identity_key_file)) {
    const auto now = std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
    seal_.replace(std::move(*keys), now, config_->identity_life);
  } else {
    log_error("identity.refused", {{"why", keys.error()}});
    ++reloads_refused_;
  }
}

void Gateway::take_redis_rule(const RedisRule& fresh) {
  redis_.connect_timeout = fresh.connect_timeout;
  redis_.probe_every = fresh.probe_every;
  // If the address has changed, the new user and password belong to another server.
  if (fresh.endpoint != redis_.endpoint || fresh.tls_server != redis_.tls_server) return;
  redis_.user = fresh.user;
  redis_.password = fresh.password;
}

void Gateway::write_metrics(MetricsText& out) const {
  streams_.write_metrics(out);
  loop_.turn_times().write_metrics(out);
  out.counter("tailgate_reloads_total", "Reloads of the configuration that were taken.", reloads_);
  out.counter("tailgate_reloads_refused_total",
              "Reloads of the configuration or the identity keys that were refused.", reloads_refused_);
  requests_.write_metrics(out);
  auth_.write_metrics(out);
  out.gauge("tailgate_draining", "1 while this process ends its streams.", std::uint64_t{drain_.draining()});
  MemoryBudget::write_metrics(out);
  channels_.write_metrics(out);
  log_feeds_.write_metrics(out);
  records_.write_metrics(out);
  tailgate::write_metrics(
      out, Listeners{{"streams", &streams_server_}, {"auth", &auth_server_}, {"ops", &ops_server_}});
  tailgate::write_metrics(out, links());
  keys_.write_metrics(out);
}

void Gateway::on_terminate() {
  // The second signal stops the gateway at once.  POST /drain does not count as a signal.
  if (std::exchange(terminating_, true)) {
    log_warning("stop.now", {{"streams", streams_.count()}});
    loop_.stop();
    return;
  }
  drain();
  if (inherited_) drain_.hand_over();
}

void Gateway::drain() {
  if (drain_.draining()) return;
  drain_.settle();
  const DrainRule& rule = config_->drain;
  flush_time_ = std::min(kLongestFlush, rule.deadline / 4);
  drain_by_ = Loop::now() + rule.deadline - flush_time_;
  log_info("drain.begun", {{"streams", streams_.count()},
                           {"settle_ms", rule.settle.count()},
                           {"deadline_ms", rule.deadline.count()}});
  settle_.after(rule.settle);
  deadline_.after(std::chrono::duration_cast<std::chrono::microseconds>(drain_by_ - Loop::now()));
  // If the sockets were handed over, a successor runs or will run.  As soon as it accepts, it alone answers
  // on the ops address.
  if (inherited_) ops_server_.leave_to_successor();
}

void Gateway::end_streams() {
  drain_.refuse();
  if (inherited_) {
    streams_server_.stop_accepting();
    auth_server_.stop_accepting();
  }
  streams_.drain(drain_by_);
  // A connection that was accepted just before a hand-over may not have sent its request yet.
  const auto first_request = drain_.hands_over() ? kFirstRequest : std::chrono::milliseconds(0);
  streams_.set_on_empty([this, first_request] { stopping_.after(first_request); });
}

void Gateway::end_rest() {
  drain_.refuse();
  streams_.end_all();
  stopping_.after(kWrittenPoll);
}

// The last bytes of an ended stream may still wait in a buffer.  Stopping at once would lose these bytes.
void Gateway::stop_once_written() {
  const bool is_done = streams_.count() == 0 && streams_server_.still_flushing() == 0;
  if (!is_done && Loop::now() < drain_by_ + flush_time_ / 2) {
    stopping_.after(kWrittenPoll);
    return;
  }
  log_info("stopped", {{"streams_cut", streams_.count()}, {"ends_cut", streams_server_.still_flushing()}});
  loop_.stop();
}

}  // namespace tailgate
