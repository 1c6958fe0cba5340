// A unix socket between a class under test and a real server, on the test's own loop.
//
// It passes bytes on in both directions.  A test can delay them, hold them back and release them one RESP
// value at a time, cut the connections and refuse new ones: so a race that needs a slow Redis is reached on
// purpose. Everything applies to all connections through the proxy; give each link a proxy of its own to tell
// them apart.
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

  // Listens on `path` at once.  Each client gets a connection of its own to `server_path`; while nobody
  // listens there, the proxy closes the client's connection.
  LaggingProxy(const Loop& loop, std::string path, std::string server_path);
  ~LaggingProxy();
  LaggingProxy(const LaggingProxy&) = delete;
  LaggingProxy& operator=(const LaggingProxy&) = delete;

  const std::string& path() const { return path_; }

  // Holds back every byte that arrives in this direction from now on, and the end of a connection.
  void hold(Direction direction);
  // Passes on the first complete RESP value (a command or a reply) and goes on holding the rest.  False: no
  // complete value is held.
  bool release_one(Direction direction);
  // Passes on everything that is held, and holds nothing any more.
  void release(Direction direction);
  // The bytes that are held back in this direction, of all connections.
  std::string held(Direction direction) const;

  // Passes each byte that is read from now on after this delay.
  void set_lag(Direction direction, std::chrono::milliseconds lag);

  // Closes every connection on both sides.  Held bytes are lost.
  void cut();
  // connect() to the proxy fails with ECONNREFUSED until accept().  Open connections stay.
  void refuse();
  void accept();

  // How many connections are open now, and how many there have been.
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
