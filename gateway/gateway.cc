#include "gateway/gateway.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/base/wall_time.h"
#include "gateway/config/changes.h"
#include "gateway/endpoints/intake.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// What is kept of the drain's deadline for the last bytes to leave.
constexpr std::chrono::milliseconds kLastBytes{1000};
constexpr std::chrono::milliseconds kFlushPoll{20};
constexpr std::chrono::milliseconds kStartingPoll{50};
// What is left for the first request on a connection that was accepted just before a hand-over.
constexpr std::chrono::milliseconds kLastAsked{250};

// systemd's first descriptor, sd_listen_fds(3).
constexpr int kFirstInherited = 3;

// Takes the descriptor called `name` from the environment's list, if it is there.
std::optional<Socket> inherited(std::string_view name) {
  const char* pid = std::getenv("LISTEN_PID");
  const char* names = std::getenv("LISTEN_FDNAMES");
  if (pid == nullptr || names == nullptr || std::to_string(getpid()) != pid) return std::nullopt;
  const auto list = split(names, ':');
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i] != name) continue;
    const int fd = kFirstInherited + static_cast<int>(i);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) return std::nullopt;
    log_info("socket.inherited", {{"name", name}});
    return Socket(fd);
  }
  return std::nullopt;
}

Result<Socket> open_socket(std::string_view name, const Endpoint& endpoint, const Config& config, bool& any) {
  if (auto socket = inherited(name)) {
    any = true;
    return std::move(*socket);
  }
  if (endpoint.unix_path.empty()) return listen_tcp(endpoint.host, endpoint.port);
  return listen_unix({.path = endpoint.unix_path, .mode = config.socket_mode, .group = config.socket_group});
}

// The providers of `config`, which lives as long as the pointer.
std::shared_ptr<const ProviderList> providers_of(const std::shared_ptr<const Config>& config) {
  return {config, &config->providers};
}

}  // namespace

Result<Sockets> open_sockets(const Config& config) {
  bool any = false;
  auto streams = open_socket("streams", config.listen_streams, config, any);
  if (!streams) return Error{"listen.streams: " + streams.error()};
  auto auth = open_socket("auth", config.listen_auth, config, any);
  if (!auth) return Error{"listen.auth: " + auth.error()};
  auto ops = open_socket("ops", config.listen_ops, config, any);
  if (!ops) return Error{"listen.ops: " + ops.error()};
  return Sockets{
      .streams = std::move(*streams), .auth = std::move(*auth), .ops = std::move(*ops), .inherited = any};
}

Result<std::vector<std::string>> load_identity_keys(const std::string& file) {
  struct stat about {};
  if (lstat(file.c_str(), &about) == 0 || errno != ENOENT) return read_identity_keys(file);
  const auto failed = [&](const char* what) {
    return Error{"identity.key_file: " + file + ": " + what + ": " + std::strerror(errno)};
  };
  const auto made = make_identity_keys();
  if (!made) return Error{"identity.key_file: " + made.error()};
  // Written beside and linked into place: of several processes that start together one wins, and no
  // other ever reads half a file.
  const std::string draft = file + '.' + std::to_string(getpid());
  const int fd = open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return failed("cannot create it");
  const bool written = write(fd, made->data(), made->size()) == static_cast<ssize_t>(made->size());
  close(fd);
  const bool placed = written && (link(draft.c_str(), file.c_str()) == 0 || errno == EEXIST);
  const int error = errno;
  unlink(draft.c_str());
  errno = error;
  if (!placed) return failed("cannot create it");
  return read_identity_keys(file);
}

Result<std::vector<std::string>> read_identity_keys(const std::string& file) {
  const auto failed = [&](const char* what) {
    return Error{"identity.key_file: " + file + ": " + what + ": " + std::strerror(errno)};
  };
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return failed("cannot open it");
  struct stat about {};
  std::array<char, 4096> text{};
  const bool is_private = fstat(fd, &about) == 0 && (about.st_mode & 077) == 0;
  const ssize_t length = read(fd, text.data(), text.size());
  close(fd);
  if (!is_private)
    return Error{"identity.key_file: " + file + ": must not be readable by group or others (chmod 600)"};
  if (length < 0) return failed("cannot read it");
  auto keys = parse_identity_keys({text.data(), static_cast<std::size_t>(length)});
  if (!keys) return Error{"identity.key_file: " + file + ": " + keys.error()};
  return keys;
}

Gateway::Gateway(std::shared_ptr<const Config> config, Sockets sockets,
                 std::vector<std::string> identity_keys, LoadConfig reload)
    : reload_(std::move(reload)),
      config_(std::move(config)),
      resolver_(loop_),
      deadlines_(loop_),
      seal_(std::move(identity_keys)),
      streams_server_(
          loop_, std::move(sockets.streams),
          [this](std::unique_ptr<Exchange> exchange) { handle_request(services_, std::move(exchange)); }),
      auth_server_(loop_, std::move(sockets.auth),
                   [this](std::unique_ptr<Exchange> exchange) { auth_.handle_request(std::move(exchange)); }),
      ops_server_(
          loop_, std::move(sockets.ops),
          [this](std::unique_ptr<Exchange> exchange) { ops_.handle_request(std::move(exchange)); },
          DescriptorShare::kReserved),
      streams_(loop_, deadlines_, metrics_),
      memory_(loop_, streams_, [this] { return services_.config->limits.memory_bytes; }),
      channels_(loop_, resolver_, config_->redis, streams_.hub()),
      looks_(loop_, resolver_, config_->redis, "records",
             {.on_up = [this] { streams_.on_redis_up(); }, .on_down = {}}),
      logs_(loop_, resolver_, config_->redis, "logs",
            {.on_up =
                 [this] {
                   log_feeds_.on_up();
                   streams_.on_redis_up();
                 },
             .on_down = {}}),
      pages_(loop_, resolver_, config_->redis, "pages",
             {.on_up = [this] { streams_.on_redis_up(); }, .on_down = {}}),
      records_(loop_, looks_, deadlines_),
      log_reader_(logs_),
      log_feeds_(loop_, log_reader_, channels_, streams_.hub(), config_->redis.wakeups),
      applications_(loop_, resolver_),
      keys_(loop_, resolver_, providers_of(config_)),
      services_{.streams = streams_,
                .channels = channels_,
                .looks = looks_,
                .records = records_,
                .applications = applications_,
                .log_reader = log_reader_,
                .log_feeds = log_feeds_,
                .pages = pages_,
                .limits = limits_,
                .metrics = metrics_,
                .memory = memory_,
                .seal = seal_,
                .config = config_},
      auth_(loop_, services_, keys_),
      ops_(
          services_, keys_, readiness_, [this](MetricsText& out) { write_metrics(out); },
          [this] { drain(); }),
      on_term_(loop_, SIGTERM, [this] { on_terminate(); }),
      on_int_(loop_, SIGINT, [this] { on_terminate(); }),
      on_hup_(loop_, SIGHUP, [this] { on_reload(); }),
      inherited_(sockets.inherited),
      starting_(loop_,
                [this] {
                  ops_.note_readiness();
                  if (!readiness_.ready_once) starting_.after(kStartingPoll);
                }),
      settle_(loop_, [this] { turn_away(); }),
      deadline_(loop_, [this] { end_what_is_left(); }),
      flushed_(loop_, [this] { stop_when_flushed(); }) {
  streams_.set_more_coming([this] { return channels_.more_coming() || logs_.more_coming(); });
  starting_.after(kStartingPoll);
  streams_server_.start();
  auth_server_.start();
  ops_server_.start();
}

// Streams hold on to feeds and links: they go first.
Gateway::~Gateway() {
  streams_.clear();
}

void Gateway::run() {
  loop_.run();
}

void Gateway::on_reload() {
  auto config = reload_();
  if (!config) {
    log_error("config.refused", {{"why", config.error()}});
    ++reloads_refused_;
    return;
  }
  services_.config = *config;
  keys_.on_reload(providers_of(*config));
  auth_.on_reload();
  // Never made anew here: identities on their way would be forged ones.
  if (auto keys = read_identity_keys((*config)->identity_key_file)) {
    const auto now = std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
    seal_.replace(std::move(*keys), now, (*config)->identity_life);
  } else {
    log_error("identity.refused", {{"why", keys.error()}});
    ++reloads_refused_;
  }
  ++reloads_;
  log_info("config.reloaded");
  std::string waiting;
  for (const std::string& key : keys_that_need_a_restart(*config_, **config)) {
    waiting += (waiting.empty() ? "" : ", ") + key;
  }
  if (!waiting.empty()) log_warning("config.needs_restart", {{"keys", waiting}});
}

void Gateway::write_metrics(MetricsText& out) const {
  streams_.write_metrics(out);
  out.counter("tailgate_reloads_total", "Reloads of the configuration that were taken.", reloads_);
  out.counter("tailgate_reloads_refused_total",
              "Reloads of the configuration or the identity keys that were refused.", reloads_refused_);
  out.counter("tailgate_unrouted_total", "Requests that matched no route.", services_.unrouted);
  auth_.write_metrics(out);
  out.gauge("tailgate_draining", "1 while this process ends its streams.",
            std::uint64_t{readiness_.draining});
  MemoryBudget::write_metrics(out);
  channels_.write_metrics(out);
  log_feeds_.write_metrics(out);
  records_.write_metrics(out);
  tailgate::write_metrics(
      out, Listeners{{"streams", &streams_server_}, {"auth", &auth_server_}, {"ops", &ops_server_}});
  tailgate::write_metrics(out, std::array<const RedisLink*, 4>{&channels_.link(), &looks_, &logs_, &pages_});
  keys_.write_metrics(out);
}

void Gateway::on_terminate() {
  // The second one; a drain that an operator began before the first does not count as one.
  if (std::exchange(terminating_, true)) {
    log_warning("stop.now", {{"streams", streams_.count()}});
    loop_.stop();
    return;
  }
  // Whoever ends a process with handed-over sockets has a successor for it, or will have one: it answers
  // for this address from now on.
  if (inherited_) {
    ops_server_.stop_accepting();
    services_.handing_over = true;
    services_.turning_away = false;  // a drain before had nobody to hand over to
  }
  drain();
}

void Gateway::drain() {
  if (std::exchange(readiness_.draining, true)) return;
  const DrainRule& rule = services_.config->drain;
  last_bytes_ = std::min(kLastBytes, rule.deadline / 4);
  drain_by_ = Loop::now() + rule.deadline - last_bytes_;
  log_info("drain.begun", {{"streams", streams_.count()},
                           {"settle_ms", rule.settle.count()},
                           {"deadline_ms", rule.deadline.count()}});
  settle_.after(rule.settle);
  deadline_.after(std::chrono::duration_cast<std::chrono::microseconds>(drain_by_ - Loop::now()));
}

void Gateway::turn_away() {
  services_.turning_away = !services_.handing_over;
  if (inherited_) {
    streams_server_.stop_accepting();
    auth_server_.stop_accepting();
  }
  streams_.drain(drain_by_);
  // Who was accepted in the last moment before a hand-over has yet to ask.
  const auto last_asked = services_.handing_over ? kLastAsked : std::chrono::milliseconds(0);
  streams_.set_on_empty([this, last_asked] { flushed_.after(last_asked); });
}

void Gateway::end_what_is_left() {
  services_.turning_away = !services_.handing_over;
  streams_.end_all();
  flushed_.after(kFlushPoll);
}

// An ended stream's last bytes may still wait in a buffer: leaving at once would lose the clean end.
void Gateway::stop_when_flushed() {
  const bool something_left = streams_.count() > 0 || streams_server_.still_flushing() > 0;
  if (something_left && Loop::now() < drain_by_ + last_bytes_ / 2) {
    flushed_.after(kFlushPoll);
    return;
  }
  log_info("stopped", {{"streams_cut", streams_.count()}, {"ends_cut", streams_server_.still_flushing()}});
  loop_.stop();
}

}  // namespace tailgate
