// A real redis-server for one test, on a unix socket in the test's folder.
#pragma once

#include <sys/types.h>

#include <string>

namespace tailgate::testing {

class RedisServer {
 public:
  // Starts a server in `folder`; `more` is added to its configuration.  The server is not ready when the
  // constructor returns; a RedisLink tries again until it is.
  RedisServer(const std::string& folder, const std::string& more);
  // Kills the server and waits until it has exited.
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  const std::string& socket_path() const { return socket_path_; }

 private:
  std::string socket_path_;
  pid_t pid_ = 0;
};

}  // namespace tailgate::testing
