#include "gateway/http/server.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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
constexpr int kBacklog = 4096;
// evhttp counts the head without its line ends; check_head() is the one that refuses.
constexpr auto kMaxHead = static_cast<ssize_t>(kMostHeadBytes);
constexpr auto kMaxBody = static_cast<ssize_t>(kMostBodyBytes);

// Kept back from clients, for the operators' listener and, half of it, for links to Redis, legs and files.
// Of a very small limit half.
constexpr rlim_t kKeptDescriptors = 96;

// What the kernel may hold of a client's answer beside our own backlog; it doubles this.
constexpr int kSendBuffer = 64 * 1024;
// A request's answer; a stream says for itself how long its client may stay unheard.
constexpr unsigned kUnheardMs = 60'000;

Error failed(const std::string& what) {
  return Error{what + ": " + std::strerror(errno)};
}

bool somebody_listens(const sockaddr_un& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool answered =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
  close(fd);
  return answered;
}

}  // namespace

Socket::Socket(Socket&& other) noexcept {
  *this = std::move(other);
}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
  return *this;
}

Socket::~Socket() {
  if (fd_ < 0) return;
  close(fd_);
  struct stat there {};
  if (!path_.empty() && lstat(path_.c_str(), &there) == 0 && there.st_dev == device_ &&
      there.st_ino == inode_) {
    unlink(path_.c_str());
  }
}

void Socket::own_file(std::string path) {
  struct stat there {};
  if (lstat(path.c_str(), &there) != 0) return;
  path_ = std::move(path);
  device_ = there.st_dev;
  inode_ = there.st_ino;
}

Result<Socket> listen_unix(const UnixSocketRule& rule) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (rule.path.size() >= sizeof address.sun_path) {
    return Error{rule.path + ": a unix socket's path has at most " +
                 std::to_string(sizeof address.sun_path - 1) + " bytes"};
  }
  std::memcpy(address.sun_path, rule.path.c_str(), rule.path.size() + 1);

  struct stat there {};
  if (lstat(rule.path.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode)) return Error{rule.path + ": is there already and is not a socket"};
    if (somebody_listens(address)) return Error{rule.path + ": another process listens there"};
    if (unlink(rule.path.c_str()) != 0) return failed(rule.path + ": cannot remove the old socket");
  }

  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(rule.path + ": socket");
  // Born closed to everybody, so that there is no moment in which the mode is wrong.
  const mode_t old_mask = umask(0777);
  const int bound = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  umask(old_mask);
  if (bound != 0) {
    Error error = failed(rule.path + ": cannot bind");
    close(fd);
    return error;
  }
  Socket result(fd);
  result.own_file(rule.path);
  if (!rule.group.empty()) {
    const group* entry = getgrnam(rule.group.c_str());
    if (entry == nullptr) return Error{rule.path + ": there is no group " + rule.group};
    if (chown(rule.path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0) {
      return failed(rule.path + ": cannot give it to group " + rule.group);
    }
  }
  if (chmod(rule.path.c_str(), rule.mode) != 0) return failed(rule.path + ": cannot set its mode");
  if (listen(fd, kBacklog) != 0) return failed(rule.path + ": cannot listen");
  return result;
}

Result<Socket> listen_tcp(const std::string& host, std::uint16_t port) {
  const std::string where = host + " port " + std::to_string(port);
  sockaddr_storage address{};
  socklen_t length = 0;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    length = sizeof *v4;
  } else if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    length = sizeof *v6;
  } else {
    return Error{where + ": is not a numeric address"};
  }
  const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(where + ": socket");
  Socket result(fd);
  const int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0)
    return failed(where + ": cannot bind");
  if (listen(fd, kBacklog) != 0) return failed(where + ": cannot listen");
  return result;
}

// What accepted connections inherit (tcp(7)); on a unix socket all of it fails, and none is needed.
void prepare_for_clients(int fd) {
  const int on = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnheardMs, sizeof kUnheardMs);
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 && address.ss_family != AF_UNIX)
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
}

// evhttp keeps a listener's user argument for itself, so that is not how its error callback finds us.
std::vector<HttpServer*>& servers() {
  static std::vector<HttpServer*> all;
  return all;
}

HttpServer::HttpServer(const Loop& loop, Socket socket, Handler handler, DescriptorShare share,
                       const HttpTimes& times)
    : handler_(std::move(handler)),
      socket_(std::move(socket)),
      share_(share),
      times_(times),
      deadlines_(loop),
      turn_end_(loop, [this] { after_turn(); }),
      http_(evhttp_new(loop.base())),
      accept_again_(loop, [this] {
        if (accepting_) evconnlistener_enable(listener_);
      }) {
  evhttp_set_max_headers_size(http_.get(), kMaxHead);
  evhttp_set_max_body_size(http_.get(), kMaxBody);
  evhttp_set_default_content_type(http_.get(), nullptr);
  // All of them, those among them that evhttp has no name for: what is not allowed is answered by us, in
  // our own words (405).
  evhttp_set_allowed_methods(http_.get(), 0xffff);
  evhttp_set_gencb(http_.get(), request_cb, this);
  evhttp_set_bevcb(http_.get(), newborn_cb, this);

  prepare_for_clients(socket_.fd());
  listener_ = evconnlistener_new(loop.base(), nullptr, nullptr, LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0,
                                 socket_.fd());
  evconnlistener_set_error_cb(listener_, accept_failed_cb);
  evhttp_bind_listener(http_.get(), listener_);
  servers().push_back(this);
}

HttpServer::~HttpServer() {
  std::erase(servers(), this);
  for (bufferevent* buffer : newborn_) bufferevent_decref(buffer);
}

void HttpServer::start() {
  evconnlistener_enable(listener_);
}

void HttpServer::stop_accepting() {
  accepting_ = false;
  evconnlistener_disable(listener_);
}

std::size_t HttpServer::still_leaving() const {
  return static_cast<std::size_t>(
      std::count_if(connections_.begin(), connections_.end(),
                    [](const auto& one) { return one != nullptr && one->leaving(); }));
}

bool HttpServer::is_past_share(const bufferevent* buffer) const {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  const rlim_t kept = std::min(kKeptDescriptors, limit.rlim_cur / 2);
  const rlim_t mine = limit.rlim_cur - (share_ == DescriptorShare::kServed ? kept : kept / 2);
  return static_cast<rlim_t>(bufferevent_getfd(const_cast<bufferevent*>(buffer))) >= mine;
}

// A connection has been accepted; evhttp makes its object around this buffer, and only when that is done
// can it be found.
bufferevent* HttpServer::newborn_cb(event_base* base, void* self) noexcept {
  auto* server = static_cast<HttpServer*>(self);
  // The listener accepts on and on while somebody waits.  In a storm others want their turn, and what is
  // freed when one request has been read serves the next; past the share one at a time is enough.
  if (server->newborn_.size() + 1 >= kAcceptsPerTurn ||
      (!server->newborn_.empty() && server->is_past_share(server->newborn_.back()))) {
    server->paused_ = true;
    evconnlistener_disable(server->listener_);
  }
  bufferevent* buffer = bufferevent_socket_new(base, -1, 0);
  if (buffer == nullptr) std::abort();  // out of memory
  bufferevent_incref(buffer);
  server->newborn_.push_back(buffer);
  server->turn_end_.ask();
  return buffer;
}

// Before evhttp sees a byte of a new connection, and before it looks at what came with the request before.
void HttpServer::after_turn() {
  while (!to_look_at_.empty()) {
    HttpConnection* connection = to_look_at_.back();
    to_look_at_.pop_back();
    connection->look();
  }
  take_in_newborn();
  if (std::exchange(paused_, false) && accepting_) evconnlistener_enable(listener_);
}

void HttpServer::take_in_newborn() {
  for (bufferevent* buffer : std::exchange(newborn_, {})) {
    bufferevent_event_cb event = nullptr;
    void* arg = nullptr;
    bufferevent_getcb(buffer, nullptr, nullptr, &event, &arg);
    // If evhttp has given it up already, only our reference keeps it.
    const bool given_up = event == nullptr;
    bufferevent_decref(buffer);
    if (given_up) continue;
    auto* connection = static_cast<evhttp_connection*>(arg);  // libevent 2.1.12, evhttp_start_read_
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
  std::erase(to_look_at_, &connection);
  connections_[static_cast<std::size_t>(bufferevent_getfd(connection.buffer()))].reset();
  --open_;
}

void HttpServer::look_later(HttpConnection& connection) {
  to_look_at_.push_back(&connection);
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
  bufferevent* buffer = evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
  HttpConnection& connection = *server->connections_[static_cast<std::size_t>(bufferevent_getfd(buffer))];
  connection.on_request(request);
  server->handler_(std::make_unique<Exchange>(request, connection));
}

// Out of descriptors in the whole system, or of memory.  The connection stays in the backlog, so accepting
// on at once would spin; a tenth of a second later somebody may have left.
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
