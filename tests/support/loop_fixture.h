// What tests of ranks 2 and 3 need: a loop that runs until something is true, a folder, and a server on a
// unix socket that says exactly the bytes it is told to.
#pragma once

#include <gtest/gtest.h>

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

  // Runs the loop until `done` says true, or for five seconds: then false.
  bool run_until(const std::function<bool()>& done);
  // Runs the loop for that long: to see that something does not happen.
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
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  std::string answer;
  bool closes = true;
  bool silent = false;                // says nothing at all
  std::vector<std::string> requests;  // their heads, so far

 private:
  static void accept_cb(evconnlistener* listener, evutil_socket_t fd, sockaddr* from, int size,
                        void* self) noexcept;
  static void read_cb(bufferevent* buffer, void* self) noexcept;
  static void written_cb(bufferevent* buffer, void* self) noexcept;
  static void event_cb(bufferevent* buffer, short what, void* self) noexcept;
  void forget(bufferevent* buffer);

  const Loop& loop_;
  std::vector<BuffereventHandle> connections_;
  ListenerHandle listener_;
};

}  // namespace tailgate::testing
