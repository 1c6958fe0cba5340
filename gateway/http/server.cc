#include "gateway/http/server.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/http/head.h"

namespace tailgate {

namespace {

constexpr std::size_t kAcceptsPerTurn = 64;
// How often a server that waits for a successor looks for connections that nobody accepts.
constexpr std::chrono::milliseconds kAlonePoll{20};
// The limits of evhttp.  check_head() refuses a large head earlier than evhttp, because check_head() also
// counts line ends.
constexpr auto kMaxHead = static_cast<ssize_t>(kMostHeadBytes);
constexpr auto kMaxBody = static_cast<ssize_t>(kMostBodyBytes);

// Descriptors that clients do not get.  The operators' listener may use half of them; the rest is for links
// to Redis, fetches and files.  If RLIMIT_NOFILE is less than twice this number, half of RLIMIT_NOFILE is
// reserved.
constexpr rlim_t kReservedDescriptors = 96;

// The kernel's send buffer for each TCP client, in addition to our backlog.  The kernel doubles the value.
constexpr int kSendBuffer = 64 * 1024;
// A client that acknowledges nothing for this time is gone.  A stream sets its own limit.
constexpr unsigned kUnacknowledgedMs = 60'000;

}  // namespace

// Accepted connections inherit these options (tcp(7)).  On a unix socket the TCP options fail and are not
// needed.
void prepare_for_clients(int fd) {
  const int on = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledgedMs, sizeof kUnacknowledgedMs);
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 && address.ss_family != AF_UNIX)
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
}

// All servers.  accept_failed_cb() looks its server up here, because the callback's argument belongs to
// evhttp.
std::vector<HttpServer*>& servers() {
  static std::vector<HttpServer*> all;
  return all;
}

HttpServer::HttpServer(const Loop& loop, Socket socket, Handler handler, DescriptorShare share,
                       const HttpTimes& times)
    : loop_(loop),
      handler_(std::move(handler)),
      socket_(std::move(socket)),
      share_(share),
      times_(times),
      deadlines_(loop),
      turn_end_(loop, [this] { after_turn(); }),
      http_(evhttp_new(loop.base())),
      accept_again_(loop,
                    [this] {
                      if (accepting_) evconnlistener_enable(listener_);
                    }),
      alone_(loop, [this] { accept_while_alone(); }) {
  evhttp_set_max_headers_size(http_.get(), kMaxHead);
  evhttp_set_max_body_size(http_.get(), kMaxBody);
  evhttp_set_default_content_type(http_.get(), nullptr);
  // Allows all methods, even unknown ones, so that the routes answer 405.
  evhttp_set_allowed_methods(http_.get(), 0xffff);
  evhttp_set_gencb(http_.get(), request_cb, this);
  evhttp_set_bevcb(http_.get(), accepted_cb, this);

  prepare_for_clients(socket_.fd());
  listener_ = evconnlistener_new(loop.base(), nullptr, nullptr, LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0,
                                 socket_.fd());
  evconnlistener_set_error_cb(listener_, accept_failed_cb);
  evhttp_bind_listener(http_.get(), listener_);
  servers().push_back(this);
}

HttpServer::~HttpServer() {
  std::erase(servers(), this);
  for (bufferevent* buffer : accepted_) bufferevent_decref(buffer);
}

void HttpServer::start() {
  socket_.say_accepting(true);
  evconnlistener_enable(listener_);
}

void HttpServer::stop_accepting() {
  accepting_ = false;
  socket_.say_accepting(false);
  evconnlistener_disable(listener_);
}

void HttpServer::leave_to_successor() {
  stop_accepting();
  accept_while_alone();
}

// Checks for a successor before it enables the listener, because the successor must get every connection that
// it can accept.  The listener stays enabled until the end of the turn in which it accepts, or until the next
// check.
void HttpServer::accept_while_alone() {
  evconnlistener_disable(listener_);
  if (socket_.has_waiting_connection() && !socket_.is_accepted_by_another_process())
    evconnlistener_enable(listener_);
  alone_.after(kAlonePoll);
}

std::size_t HttpServer::still_flushing() const {
  return static_cast<std::size_t>(
      std::count_if(connections_.begin(), connections_.end(),
                    [](const auto& one) { return one != nullptr && one->flushing(); }));
}

bool HttpServer::is_past_share(const bufferevent* buffer) const {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  const rlim_t reserved = std::min(kReservedDescriptors, limit.rlim_cur / 2);
  const rlim_t share = limit.rlim_cur - (share_ == DescriptorShare::kServed ? reserved : reserved / 2);
  return static_cast<rlim_t>(bufferevent_getfd(const_cast<bufferevent*>(buffer))) >= share;
}

// After the call, evhttp makes an evhttp_connection around the returned buffer.
bufferevent* HttpServer::accepted_cb(event_base* base, void* self) noexcept {
  auto* server = static_cast<HttpServer*>(self);
  // Without a bound, the listener would accept all waiting connections in this turn.  The bound leaves time
  // for other work, and later requests can reuse the memory of earlier requests.  Beyond the share of
  // descriptors, one connection a turn is enough.
  if (server->accepted_.size() + 1 >= kAcceptsPerTurn ||
      (!server->accepted_.empty() && server->is_past_share(server->accepted_.back()))) {
    server->paused_ = true;
    evconnlistener_disable(server->listener_);
  }
  bufferevent* buffer = bufferevent_socket_new(base, -1, 0);
  if (buffer == nullptr) std::abort();  // out of memory
  bufferevent_incref(buffer);
  server->accepted_.push_back(buffer);
  server->turn_end_.ask();
  return buffer;
}

// Runs before evhttp reads a new connection, or input that arrived with an earlier request.
void HttpServer::after_turn() {
  while (!to_check_.empty()) {
    HttpConnection* connection = to_check_.back();
    to_check_.pop_back();
    connection->check_input();
  }
  adopt_accepted();
  if (!accepting_) {
    evconnlistener_disable(listener_);
  } else if (std::exchange(paused_, false)) {
    evconnlistener_enable(listener_);
  }
}

void HttpServer::adopt_accepted() {
  for (bufferevent* buffer : std::exchange(accepted_, {})) {
    bufferevent_event_cb event = nullptr;
    void* arg = nullptr;
    bufferevent_getcb(buffer, nullptr, nullptr, &event, &arg);
    // No event callback means that evhttp has freed its connection.  Then our reference is the last.
    const bool is_freed = event == nullptr;
    bufferevent_decref(buffer);
    if (is_freed) continue;
    auto* connection =
        static_cast<evhttp_connection*>(arg);  // set by evhttp_start_read_() of libevent 2.1.12
    if (is_past_share(buffer)) {
      ++turned_away_;
      static LogValve valve(1, 1);
      if (valve.open(Loop::now())) {
        log_error("connection.turned_away",
                  {{"why", "descriptors"}, {"total", turned_away_}, {"held_back", valve.take_held_back()}});
      }
      evhttp_connection_free(connection);
      continue;
    }
    Owner& owner = *this;
    const auto fd = static_cast<std::size_t>(bufferevent_getfd(buffer));
    if (connections_.size() <= fd) connections_.resize(fd + 1);
    connections_[fd] = std::make_unique<HttpConnection>(owner, times_, connection, buffer);
    ++open_;
  }
}

void HttpServer::on_closed(HttpConnection& connection) {
  std::erase(to_check_, &connection);
  connections_[static_cast<std::size_t>(bufferevent_getfd(connection.buffer()))].reset();
  --open_;
}

void HttpServer::check_input_later(HttpConnection& connection) {
  to_check_.push_back(&connection);
  turn_end_.ask();
}

void HttpServer::on_refused(int status, std::string_view why) {
  ++refused_;
  static LogValve valve(5, 1);
  if (valve.open(Loop::now())) {
    log_info("request.refused", {{"status", status}, {"why", why}, {"held_back", valve.take_held_back()}});
  }
}

void HttpServer::request_cb(evhttp_request* request, void* self) noexcept {
  auto* server = static_cast<HttpServer*>(self);
  server->loop_.measure_turn();
  bufferevent* buffer = evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
  HttpConnection& connection = *server->connections_[static_cast<std::size_t>(bufferevent_getfd(buffer))];
  connection.on_request(request);
  server->handler_(std::make_unique<Exchange>(request, connection));
}

// The system is out of descriptors or memory.  The connection stays in the kernel's queue, so the listener
// would fail again at once.  So the listener pauses for 100 ms.
void HttpServer::accept_failed_cb(evconnlistener* listener, void* /*http*/) noexcept {
  static LogValve valve(1, 1);
  if (valve.open(Loop::now())) {
    log_error("accept.failed", {{"why", std::strerror(errno)}, {"held_back", valve.take_held_back()}});
  }
  evconnlistener_disable(listener);
  for (HttpServer* server : servers()) {
    if (server->listener_ == listener) server->accept_again_.after(std::chrono::milliseconds(100));
  }
}

void write_metrics(MetricsText& out, const Listeners& listeners) {
  using Type = MetricsText::Type;
  const auto by_listener = [&](const char* name, Type type, const char* help, auto value) {
    out.begin(name, type, help);
    for (const auto& [listener, server] : listeners) {
      out.sample(MetricsText::label("listener", listener), std::uint64_t{value(*server)});
    }
  };
  by_listener("tailgate_connections", Type::kGauge, "Open client connections, idle ones among them.",
              [](const HttpServer& server) { return server.connections(); });
  by_listener("tailgate_connections_turned_away_total", Type::kCounter,
              "Connections closed at once for want of descriptors.",
              [](const HttpServer& server) { return server.turned_away(); });
  by_listener("tailgate_requests_refused_total", Type::kCounter,
              "Requests that were none: malformed, too large or too slow.",
              [](const HttpServer& server) { return server.refused(); });
}

}  // namespace tailgate
