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
  std::string file = folder + "/redis.conf";
  std::ofstream(file) << "port 0\nunixsocket " << socket_path_ << "\ndir " << folder << "\nlogfile " << folder
                      << "/redis.log\nsave \"\"\n"
                      << more;
  std::string program = "redis-server";
  const std::array<char*, 3> arguments{program.data(), file.data(), nullptr};
  if (posix_spawnp(&pid_, program.c_str(), nullptr, nullptr, arguments.data(), environ) != 0)
    throw std::runtime_error("cannot start redis-server");
}

RedisServer::~RedisServer() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

}  // namespace tailgate::testing
