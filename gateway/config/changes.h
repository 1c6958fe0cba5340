// Finds the keys that a reload cannot change.
//
// Pure.  The gateway binds its sockets and makes its links to Redis only at the start, so a restart is needed
// for another socket, and for another address or database of Redis.  All other keys take effect on reload: a
// new user or password of Redis at the next connection, a key set when its source has answered, everything
// else at once for new requests.
#pragma once

#include <string>
#include <vector>

#include "gateway/config/config.h"

namespace tailgate {

// The keys that differ between `at_start` and `fresh` and need a restart to take effect.
std::vector<std::string> keys_that_need_a_restart(const Config& at_start, const Config& fresh);

}  // namespace tailgate
