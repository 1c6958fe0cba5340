// HttpServer: one listening socket and its connections.
//
// Knows descriptors and evhttp; knows no routes: one handler gets all requests.  Owns its connections.  Must
// outlive its exchanges.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/metrics_text.h"
#include "gateway/http/connection.h"
#include "gateway/http/exchange.h"
#include "gateway/http/socket.h"
#include "gateway/loop/deadlines.h"
#include "gateway/loop/handles.h"
#include "gateway/loop/loop.h"

namespace tailgate {

// The descriptor numbers that connections may have.  The kernel assigns the lowest free number, so a high
// number means that the process is near its limit.
enum class DescriptorShare {
  kServed,    // all but the reserve
  kReserved,  // all but half of the reserve; that half is for links to Redis, fetches and files
};

class HttpServer : private HttpConnection::Owner {
 public:
  using Handler = std::function<void(std::unique_ptr<Exchange>)>;

  // Connections wait in the kernel until start().  A connection beyond the share is closed without an answer;
  // nginx then answers as if the gateway were down.
  HttpServer(const Loop& loop, Socket socket, Handler handler,
             DescriptorShare share = DescriptorShare::kServed, const HttpTimes& times = {});
  ~HttpServer() override;
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  void start();
  // Open connections stay open.
  void stop_accepting();
  // Accepts a connection only while no other process accepts on this socket.  Open connections stay open.
  void leave_to_successor();

  // Open connections, including idle ones.
  std::size_t connections() const { return open_; }
  // Connections that were closed because the descriptors for clients were used up.
  std::uint64_t turned_away() const { return turned_away_; }
  // Requests that HttpConnection refused, so the handler did not get them.
  std::uint64_t refused() const { return refused_; }
  // Complete responses with bytes that have not been sent.
  std::size_t still_flushing() const;

 private:
  static bufferevent* accepted_cb(event_base* base, void* self) noexcept;
  static void request_cb(evhttp_request* request, void* self) noexcept;
  static void accept_failed_cb(evconnlistener* listener, void* http) noexcept;

  void on_closed(HttpConnection& connection) override;
  void check_input_later(HttpConnection& connection) override;
  void on_refused(int status, std::string_view why) override;
  Deadlines& deadlines() override { return deadlines_; }

  void after_turn();
  void adopt_accepted();
  void accept_while_alone();
  bool is_past_share(const bufferevent* buffer) const;

  const Loop& loop_;
  Handler handler_;
  Socket socket_;
  DescriptorShare share_;
  HttpTimes times_;
  Deadlines deadlines_;
  TurnEnd turn_end_;
  std::vector<std::unique_ptr<HttpConnection>> connections_;  // indexed by descriptor
  std::size_t open_ = 0;                                      // how many of connections_ are not null
  std::vector<HttpConnection*> to_check_;
  std::vector<bufferevent*> accepted_;  // of this turn; we own a reference to each
  std::uint64_t turned_away_ = 0;
  std::uint64_t refused_ = 0;
  HttpHandle http_;                     // owns the listener
  evconnlistener* listener_ = nullptr;  // owned by http_
  Timer accept_again_;
  Timer alone_;
  bool accepting_ = true;
  bool paused_ = false;  // no accept until the end of the turn
};

// Each server with the name of its listener in the configuration.
using Listeners = std::vector<std::pair<std::string, const HttpServer*>>;
void write_metrics(MetricsText& out, const Listeners& listeners);

}  // namespace tailgate
