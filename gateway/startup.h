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
  // At least one socket was handed over to this process, so a successor may accept on it too.
  bool inherited = false;
};

// Takes the sockets "streams", "auth" and "ops" that the parent process, such as systemd, hands over
// (LISTEN_PID, LISTEN_FDNAMES).  Makes the sockets that are not handed over.
Result<Sockets> open_sockets(const Config& config);

// Reads the identity keys in `file`.  Returns an error if group or others may access the file.
Result<std::vector<std::string>> read_identity_keys(const std::string& file);
// Like read_identity_keys(), but makes the file if it does not exist.
Result<std::vector<std::string>> load_identity_keys(const std::string& file);

}  // namespace tailgate
