// Startup: opens what the process needs before it can serve: listening sockets and identity keys.
#pragma once

#include <string>
#include <vector>

#include "gateway/base/result.h"
#include "gateway/config/config.h"
#include "gateway/http/server.h"

namespace tailgate {

struct Sockets {
  Socket streams;
  Socket auth;
  Socket ops;
  // At least one was handed over to us, so a successor may accept on the same sockets.
  bool inherited = false;
};

// Takes the sockets that systemd or a predecessor hands over (LISTEN_FDS, named "streams", "auth", "ops"),
// and makes the others.
Result<Sockets> open_sockets(const Config& config);

// Reads the identity keys of `file`, which nobody but its owner may read.
Result<std::vector<std::string>> read_identity_keys(const std::string& file);
// Makes `file` first if it does not exist.
Result<std::vector<std::string>> load_identity_keys(const std::string& file);

}  // namespace tailgate
