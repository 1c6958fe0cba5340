#include "gateway/io/http_server.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "gateway/base/log.h"

namespace tailgate {

namespace {

constexpr int kBacklog = 4096;
// Above what nginx lets through (four lines of 8 KB), the request line once more in X-Tailgate-Uri, and
// what nginx adds: too large a head is nginx's 431, never a failed sub-request.
constexpr ssize_t kMaxHead = 48 * 1024;
constexpr ssize_t kMaxBody = 1024;
// Above the 60 s after which nginx drops an idle upstream connection, so that it is never we who close
// one that nginx is just about to use.
constexpr int kIdleSeconds = 90;

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

// evhttp keeps a listener's user argument for itself, so that is not how its error callback finds us.
std::vector<HttpServer*>& servers() {
  static std::vector<HttpServer*> all;
  return all;
}

HttpServer::HttpServer(const Loop& loop, Socket socket, Handler handler)
    : handler_(std::move(handler)),
      socket_(std::move(socket)),
      http_(evhttp_new(loop.base())),
      accept_again_(loop, [this] {
        if (accepting_) evconnlistener_enable(listener_);
      }) {
  evhttp_set_max_headers_size(http_.get(), kMaxHead);
  evhttp_set_max_body_size(http_.get(), kMaxBody);
  evhttp_set_timeout(http_.get(), kIdleSeconds);
  evhttp_set_default_content_type(http_.get(), nullptr);
  // All of them: what is not allowed is answered by us, in our own words (405).
  evhttp_set_allowed_methods(http_.get(), EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                              EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
                                              EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
  evhttp_set_gencb(http_.get(), request_cb, this);

  listener_ = evconnlistener_new(loop.base(), nullptr, nullptr, LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0,
                                 socket_.fd());
  evconnlistener_set_error_cb(listener_, accept_failed_cb);
  evhttp_bind_listener(http_.get(), listener_);
  servers().push_back(this);
}

HttpServer::~HttpServer() {
  std::erase(servers(), this);
}

void HttpServer::start() {
  evconnlistener_enable(listener_);
}

void HttpServer::stop_accepting() {
  accepting_ = false;
  evconnlistener_disable(listener_);
}

void HttpServer::request_cb(evhttp_request* request, void* self) noexcept {
  static_cast<HttpServer*>(self)->handler_(std::make_unique<Reply>(request));
}

// Out of descriptors, most likely.  The connection stays in the backlog, so accepting on at once would
// spin; a tenth of a second later somebody may have left.
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

}  // namespace tailgate
