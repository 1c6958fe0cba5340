#include "gateway/http/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace tailgate {

namespace {

constexpr int kBacklog = 4096;

Error failed(const std::string& what) {
  return Error{what + ": " + std::strerror(errno)};
}

struct flock first_byte(int type) {
  struct flock lock {};
  lock.l_type = static_cast<short>(type);
  lock.l_whence = SEEK_SET;
  lock.l_len = 1;
  return lock;
}

bool is_listened_on(const SocketAddress& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool answered = connect(fd, address.get(), address.length) == 0 || errno == EAGAIN;
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

// All processes that share the socket lock the same inode, so a lock of one process is visible to the others.
// Read locks of several processes do not exclude each other.
void Socket::say_accepting(bool accepting) const {
  struct flock lock = first_byte(accepting ? F_RDLCK : F_UNLCK);
  (void)fcntl(fd_, F_SETLK, &lock);
}

bool Socket::is_accepted_by_another_process() const {
  struct flock lock = first_byte(F_WRLCK);
  return fcntl(fd_, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool Socket::has_waiting_connection() const {
  pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
  return poll(&waiting, 1, 0) == 1;
}

Result<SocketAddress> unix_address(const std::string& path) {
  SocketAddress address;
  auto& unix_socket = reinterpret_cast<sockaddr_un&>(address.storage);
  if (path.size() >= sizeof unix_socket.sun_path) {
    return Error{path + ": a unix socket's path has at most " +
                 std::to_string(sizeof unix_socket.sun_path - 1) + " bytes"};
  }
  unix_socket.sun_family = AF_UNIX;
  std::memcpy(unix_socket.sun_path, path.data(), path.size());
  address.length = sizeof unix_socket;
  return address;
}

Result<SocketAddress> ip_address(const std::string& host, std::uint16_t port) {
  SocketAddress address;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    address.length = sizeof v4;
  } else if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    address.length = sizeof v6;
  } else {
    return Error{"is not a numeric address"};
  }
  return address;
}

Result<Socket> listen_unix(const UnixSocketRule& rule) {
  const auto address = unix_address(rule.path);
  if (!address) return Error{address.error()};

  struct stat there {};
  if (lstat(rule.path.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode)) return Error{rule.path + ": is there already and is not a socket"};
    if (is_listened_on(*address)) return Error{rule.path + ": another process listens there"};
    if (unlink(rule.path.c_str()) != 0) return failed(rule.path + ": cannot remove the old socket");
  }

  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(rule.path + ": socket");
  // Makes the file without permissions, so that nobody can connect before chmod() sets its mode.
  const mode_t old_mask = umask(0777);
  const int bound = bind(fd, address->get(), address->length);
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
  const auto address = ip_address(host, port);
  if (!address) return Error{where + ": " + address.error()};
  const int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(where + ": socket");
  Socket result(fd);
  const int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, address->get(), address->length) != 0) return failed(where + ": cannot bind");
  if (listen(fd, kBacklog) != 0) return failed(where + ": cannot listen");
  return result;
}

}  // namespace tailgate
