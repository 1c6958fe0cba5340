#include "tests/support/redis_server.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <stdexcept>

namespace tailgate::testing {

RedisServer::RedisServer(const std::string& folder, const std::string& more)
    : socket_path_(folder + "/redis.sock") {
  const std::string file = folder + "/redis.conf";
  std::ofstream(file) << "port 0\nunixsocket " << socket_path_ << "\ndir " << folder << "\nlogfile " << folder
                      << "/redis.log\nsave \"\"\n"
                      << more;
  // The kernel kills the server when the test program dies.  Otherwise the server would keep the output pipe
  // open, and the reader of the output would wait for ever.
  std::array<std::string, 5> words{"setpriv", "--pdeathsig", "KILL", "redis-server", file};
  std::array<char*, words.size() + 1> arguments{};
  for (std::size_t i = 0; i < words.size(); ++i) arguments[i] = words[i].data();
  if (posix_spawnp(&pid_, "setpriv", nullptr, nullptr, arguments.data(), environ) != 0)
    throw std::runtime_error("cannot start redis-server");
}

RedisServer::~RedisServer() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

}  // namespace tailgate::testing
