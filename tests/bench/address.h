// Address: "unix:/path" or "a.b.c.d:port"; opens sockets that connect to it or listen on it.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace tailgate::bench {

// Prints `why` and exits, because the figures of an incomplete run would mislead.
[[noreturn]] inline void die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(2);
}

[[noreturn]] inline void die_of_errno(const std::string& what) {
  die(what + ": " + std::strerror(errno));
}

inline std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) die("not a number: " + std::string(text));
  return value;
}

class Address {
 public:
  explicit Address(std::string_view text) {
    if (text.starts_with("unix:")) {
      const std::string_view path = text.substr(5);
      if (path.empty() || path.size() >= sizeof(local_.sun_path)) die("bad path: " + std::string(text));
      local_.sun_family = AF_UNIX;
      path.copy(local_.sun_path, path.size());
      is_unix_ = true;
      return;
    }
    const auto colon = text.rfind(':');
    inet_.sin_family = AF_INET;
    if (colon == std::string_view::npos ||
        inet_pton(AF_INET, std::string(text.substr(0, colon)).c_str(), &inet_.sin_addr) != 1) {
      die("an address is unix:/path or a.b.c.d:port, not " + std::string(text));
    }
    inet_.sin_port = htons(static_cast<std::uint16_t>(number(text.substr(colon + 1))));
  }

  // A non-blocking socket that is connecting, or -1 with EAGAIN if a unix socket's backlog is full.
  // `source` selects the client's address, 127.0.0.1 or above: one pair of addresses has only 28,000 ports.
  int connect(unsigned source) const {
    const int fd = make_socket();
    if (!is_unix_) {
      const int on = 1;
      setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      sockaddr_in from{};
      from.sin_family = AF_INET;
      from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source % 200);
      if (bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) die_of_errno("bind");
    }
    if (::connect(fd, raw(), length()) == 0 || errno == EINPROGRESS) return fd;
    const int error = errno;
    close(fd);
    errno = error;
    if (error != EAGAIN) die_of_errno("connect");
    return -1;
  }

  int listen() const {
    if (is_unix_) unlink(local_.sun_path);
    const int fd = make_socket();
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, raw(), length()) != 0 || ::listen(fd, 4096) != 0) die_of_errno("listen");
    return fd;
  }

  bool is_unix() const { return is_unix_; }

 private:
  int make_socket() const {
    const int fd = socket(is_unix_ ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die_of_errno("socket");
    return fd;
  }
  const sockaddr* raw() const {
    return is_unix_ ? reinterpret_cast<const sockaddr*>(&local_) : reinterpret_cast<const sockaddr*>(&inet_);
  }
  socklen_t length() const { return is_unix_ ? sizeof local_ : sizeof inet_; }

  bool is_unix_ = false;
  sockaddr_un local_{};
  sockaddr_in inet_{};
};

}  // namespace tailgate::bench
