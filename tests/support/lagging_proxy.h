// LaggingProxy: a unix socket between a class under test and a real Redis, on the test's own loop.
//
// It passes bytes on in both directions.  A test can delay the bytes, hold them back, release them one RESP
// value at a time, cut the connections and refuse new ones.  So a test can force a race that needs a slow
// Redis.  Each rule applies to all connections through the proxy; give each link its own proxy.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "gateway/loop/handles.h"
#include "gateway/loop/loop.h"

namespace tailgate::testing {

class LaggingProxy {
 public:
  enum Direction { kToServer, kToClient };

  // Listens on `path` at once.  Each client gets its own connection to `server_path`.  While no server
  // listens there, the proxy closes the client's connection.
  LaggingProxy(const Loop& loop, std::string path, std::string server_path);
  ~LaggingProxy();
  LaggingProxy(const LaggingProxy&) = delete;
  LaggingProxy& operator=(const LaggingProxy&) = delete;

  const std::string& path() const { return path_; }

  // From now on, holds back each byte of this direction, and the end of each connection.
  void hold(Direction direction);
  // Passes on the first complete RESP value (a command or a reply) and keeps holding the rest.  Returns false
  // if no complete value is held.
  bool release_one(Direction direction);
  // Passes on everything that is held and stops holding.
  void release(Direction direction);
  // The bytes of all connections that are held back in this direction.
  std::string held(Direction direction) const;

  // From now on, passes each byte on after this delay.
  void set_lag(Direction direction, std::chrono::milliseconds lag);

  // Closes every connection on both sides.  Held bytes are lost.
  void cut();
  // Replaces the connections to the server; the clients notice nothing.
  void replace_server_connections();
  // Until accept(), connect() to the proxy fails with ECONNREFUSED.  Open connections stay.
  void refuse();
  void accept();

  // The number of open connections, and of all connections so far.
  std::size_t connections() const { return connections_.size(); }
  std::size_t accepted() const { return accepted_; }

 private:
  struct Connection;
  struct Rule {
    bool holding = false;
    std::chrono::milliseconds lag{0};
  };

  static void accept_cb(evconnlistener* listener, evutil_socket_t fd, sockaddr* from, int size,
                        void* self) noexcept;
  static void read_cb(bufferevent* buffer, void* connection) noexcept;
  static void written_cb(bufferevent* buffer, void* connection) noexcept;
  static void event_cb(bufferevent* buffer, short what, void* connection) noexcept;
  void pump_all();

  const Loop& loop_;
  std::string path_;
  std::string server_path_;
  std::array<Rule, 2> rules_;  // by direction
  std::vector<std::unique_ptr<Connection>> connections_;
  std::size_t accepted_ = 0;
  Timer lag_timer_;
  ListenerHandle listener_;
};

}  // namespace tailgate::testing
