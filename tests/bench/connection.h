// Poller: one epoll and the handlers of its descriptors.  Pipe: a non-blocking connection.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/bench/address.h"
#include "tests/bench/process_cost.h"

namespace tailgate::bench {

class Handler {
 public:
  virtual void on_ready(std::uint32_t what) = 0;

 protected:
  ~Handler() = default;
};

class Poller {
 public:
  Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {}
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller() { close(epoll_); }
  void watch(int fd, std::uint32_t what, Handler& handler, bool is_new) const {
    epoll_event event{};
    event.events = what;
    event.data.ptr = &handler;
    if (epoll_ctl(epoll_, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0) die_of_errno("epoll_ctl");
  }
  // Waits for events until `until` at the latest.
  void turn(std::int64_t until) const {
    std::array<epoll_event, 256> events{};
    const std::int64_t left = std::max<std::int64_t>(until - now_ns(), 0);
    const timespec timeout{left / kSecond, left % kSecond};
    const int count = epoll_pwait2(epoll_, events.data(), events.size(), &timeout, nullptr);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      static_cast<Handler*>(event.data.ptr)->on_ready(event.events);
    }
  }

 private:
  int epoll_;
};

inline SSL_CTX* tls_context() {
  static SSL_CTX* const context = [] {
    SSL_CTX* made = SSL_CTX_new(TLS_client_method());
    if (made == nullptr) die("cannot make a TLS context");
    // The end-to-end tests check certificates.
    SSL_CTX_set_verify(made, SSL_VERIFY_NONE, nullptr);
    SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS);
    return made;
  }();
  return context;
}

// A non-blocking connection, with TLS on request.
class Pipe {
 public:
  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() { close(); }

  bool connect(const Address& address, unsigned source, bool tls) {
    fd_ = address.connect(source);
    if (fd_ < 0) return false;
    if (tls) {
      tls_ = SSL_new(tls_context());
      SSL_set_fd(tls_, fd_);
      SSL_set_connect_state(tls_);
    }
    return true;
  }
  void close() {
    if (tls_ != nullptr) SSL_free(tls_);
    tls_ = nullptr;
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int fd() const { return fd_; }

  // Returns the number of bytes; 0 if the call would block; -1 if the connection has ended.
  ssize_t write(std::string_view bytes) {
    if (tls_ != nullptr) return tls_result(SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size())));
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    return errno == EAGAIN || errno == ENOTCONN ? 0 : -1;
  }
  ssize_t read(char* into, std::size_t size) {
    if (tls_ != nullptr) return tls_result(SSL_read(tls_, into, static_cast<int>(size)));
    const ssize_t got = recv(fd_, into, size, 0);
    if (got > 0) return got;
    return got < 0 && errno == EAGAIN ? 0 : -1;
  }
  bool is_tls() const { return tls_ != nullptr; }

 private:
  ssize_t tls_result(int result) {
    if (result > 0) return result;
    const int error = SSL_get_error(tls_, result);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
  }

  int fd_ = -1;
  SSL* tls_ = nullptr;
};

// The buffer into which all connections read.
inline std::array<char, 1 << 18> scratch;

}  // namespace tailgate::bench
