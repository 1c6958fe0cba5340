// HttpServer: one listening socket and the requests that arrive on it.
//
// Knows sockets, descriptors and evhttp; owns its connections; every request goes to
// one handler.  Must outlive no Exchange of its own: streams die before the server that carries them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/metrics_text.h"
#include "gateway/base/result.h"
#include "gateway/http/connection.h"
#include "gateway/http/exchange.h"
#include "gateway/loop/deadlines.h"
#include "gateway/loop/handles.h"
#include "gateway/loop/loop.h"

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

// Which descriptors a server's connections may take.  The kernel gives out the lowest that is free, so the
// number of a new one says how near the whole process is to its limit, whoever holds the others.
enum class DescriptorShare {
  kServed,    // all but a reserve
  kReserved,  // of the reserve too, but for what is left to the links to Redis
};

class HttpServer : private HttpConnection::Owner {
 public:
  using Handler = std::function<void(std::unique_ptr<Exchange>)>;

  // Requests wait in the kernel until start().  Past its share a connection is closed as soon as it is
  // accepted: nginx, which gets no answer, gives its own for a gateway that is not there.
  HttpServer(const Loop& loop, Socket socket, Handler handler,
             DescriptorShare share = DescriptorShare::kServed, const HttpTimes& times = {});
  ~HttpServer() override;
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  void start();
  // Takes no new connections; those that are open go on.
  void stop_accepting();

  // Open connections, idle ones among them.
  std::size_t connections() const { return open_; }
  // Those that were closed at once for want of descriptors.
  std::uint64_t turned_away() const { return turned_away_; }
  // Requests that never reached the handler, each with an answer that says why.
  std::uint64_t refused() const { return refused_; }
  // How many ended streams have bytes that have not left yet.
  std::size_t still_leaving() const;

 private:
  static bufferevent* newborn_cb(event_base* base, void* self) noexcept;
  static void request_cb(evhttp_request* request, void* self) noexcept;
  static void accept_failed_cb(evconnlistener* listener, void* http) noexcept;

  void on_closed(HttpConnection& connection) override;
  void look_later(HttpConnection& connection) override;
  void on_refused(int status, std::string_view why) override;
  Deadlines& deadlines() override { return deadlines_; }

  void after_turn();
  void take_in_newborn();
  bool is_past_share(const bufferevent* buffer) const;

  Handler handler_;
  Socket socket_;
  DescriptorShare share_;
  HttpTimes times_;
  Deadlines deadlines_;
  TurnEnd turn_end_;
  std::vector<std::unique_ptr<HttpConnection>> connections_;  // by descriptor
  std::size_t open_ = 0;                                      // of them
  std::vector<HttpConnection*> to_look_at_;
  std::vector<bufferevent*> newborn_;  // accepted in this turn; each holds a reference of ours
  std::uint64_t turned_away_ = 0;
  std::uint64_t refused_ = 0;
  HttpHandle http_;                     // owns the listener
  evconnlistener* listener_ = nullptr;  // borrowed from http_
  Timer accept_again_;
  bool accepting_ = true;
  bool paused_ = false;  // until the end of the turn
};

// Servers by the names that their listeners have in the configuration.
using Listeners = std::vector<std::pair<std::string, const HttpServer*>>;
void write_metrics(MetricsText& out, const Listeners& listeners);

}  // namespace tailgate
