// HttpServer: one listening socket and the requests that arrive on it.
//
// Rank 2 (C, wrapped).  Knows sockets and evhttp's limits; every request goes to one handler.  Must
// outlive no Reply of its own: streams die before the server that carries them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "gateway/base/result.h"
#include "gateway/io/handles.h"
#include "gateway/io/loop.h"
#include "gateway/io/reply.h"

namespace tailgate {

// An open listening socket; closes it, and removes a unix socket's file if it made that.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  // The file at `path` is this socket's own, just bound: it goes when the socket goes, unless something
  // else stands at the path by then.
  void own_file(std::string path);
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
  std::string path_;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

struct UnixSocketRule {
  std::string path;
  std::uint32_t mode = 0660;
  std::string group;  // empty: unchanged
};

// A unix socket at `path`.  A socket file that nobody listens on is replaced; one that somebody does, or
// anything else at that path, is an error.
Result<Socket> listen_unix(const UnixSocketRule& rule);
// A TCP socket; `host` is a numeric address.
Result<Socket> listen_tcp(const std::string& host, std::uint16_t port);

class HttpServer {
 public:
  using Handler = std::function<void(std::unique_ptr<Reply>)>;

  // Requests wait in the kernel until start().
  HttpServer(const Loop& loop, Socket socket, Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  void start();
  // Takes no new connections; those that are open go on.
  void stop_accepting();

 private:
  static void request_cb(evhttp_request* request, void* self) noexcept;
  static void accept_failed_cb(evconnlistener* listener, void* http) noexcept;

  Handler handler_;
  Socket socket_;
  HttpHandle http_;                     // owns the listener
  evconnlistener* listener_ = nullptr;  // borrowed from http_
  Timer accept_again_;
  bool accepting_ = true;
};

}  // namespace tailgate
