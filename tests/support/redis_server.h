// A real redis-server of a test's own, on a unix socket in the test's folder.
#pragma once

#include <sys/types.h>

#include <string>

namespace tailgate::testing {

class RedisServer {
 public:
  // Starts it, with what `more` adds to its configuration, in `folder`; it is not ready yet, and a link
  // that heals itself need not know.
  RedisServer(const std::string& folder, const std::string& more);
  // Ends it, and waits for that.
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  const std::string& socket_path() const { return socket_path_; }

 private:
  std::string socket_path_;
  pid_t pid_ = 0;
};

}  // namespace tailgate::testing
