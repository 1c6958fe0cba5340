// LoopTest: a loop that runs until a condition is true, and a temporary folder.  RawServer: a server that
// answers with given bytes.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/loop/handles.h"
#include "gateway/loop/loop.h"
#include "gateway/loop/resolver.h"

namespace tailgate::testing {

class LoopTest : public ::testing::Test {
 protected:
  LoopTest();
  ~LoopTest() override;

  // Runs the loop until `done` returns true.  Returns false after five seconds.
  bool run_until(const std::function<bool()>& done);
  // Runs the loop for `time`, to check that something does not happen.
  void run_for(std::chrono::milliseconds time);
  std::string path(const std::string& name) const { return folder_ + '/' + name; }
  void write_file(const std::string& name, std::string_view text) const;

  Loop loop_;
  Resolver resolver_{loop_};

 private:
  std::string folder_;
};

// Answers each connection's first request head with `answer`, then closes the connection if `closes`.
class RawServer {
 public:
  RawServer(const Loop& loop, const std::string& socket_path, std::string answer);
  // Listens on a free TCP port of 127.0.0.1.
  RawServer(const Loop& loop, std::string answer);
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  // Of a server that listens on TCP: "127.0.0.1:<port>".
  std::string address() const;

  std::string answer;
  bool closes = true;
  bool silent = false;                // sends no answer
  std::vector<std::string> requests;  // the heads that have arrived

 private:
  static void accept_cb(evconnlistener* listener, evutil_socket_t fd, sockaddr* from, int size,
                        void* self) noexcept;
  static void read_cb(bufferevent* buffer, void* self) noexcept;
  static void written_cb(bufferevent* buffer, void* self) noexcept;
  static void event_cb(bufferevent* buffer, short what, void* self) noexcept;
  void listen(const sockaddr* address, socklen_t size);
  void forget(bufferevent* buffer);

  const Loop& loop_;
  std::vector<BuffereventHandle> connections_;
  ListenerHandle listener_;
};

}  // namespace tailgate::testing
