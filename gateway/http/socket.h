// Socket: a listening socket, on a path or on a TCP port.
//
// Knows the file system and its modes; knows no HTTP.  listen_unix() and listen_tcp() may block, so call them
// only at the start of the process.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "gateway/base/result.h"

namespace tailgate {

// Owns a descriptor.  After own_file() also owns the file of a unix socket.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  // Takes ownership of the file at `path`, which bind() has made for this socket.  The destructor removes the
  // file unless another file has replaced it.
  void own_file(std::string path);
  int fd() const { return fd_; }

  // Several processes may share a listening socket.  Each says whether it accepts connections, with a lock
  // that the kernel removes when the process ends.
  void say_accepting(bool accepting) const;
  bool is_accepted_by_another_process() const;
  bool has_waiting_connection() const;

 private:
  int fd_ = -1;
  std::string path_;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

struct SocketAddress {
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr_storage storage{};
  socklen_t length = 0;
};
// An error if the path is too long.
Result<SocketAddress> unix_address(const std::string& path);
// An error unless `host` is a numeric address.
Result<SocketAddress> ip_address(const std::string& host, std::uint16_t port);

struct UnixSocketRule {
  std::string path;
  std::uint32_t mode = 0660;
  std::string group;  // empty: the socket keeps its group
};

// Replaces a socket file on which no process listens.  An error if a process listens, or if the file is not a
// socket.
Result<Socket> listen_unix(const UnixSocketRule& rule);
// `host` is a numeric address.
Result<Socket> listen_tcp(const std::string& host, std::uint16_t port);

}  // namespace tailgate
