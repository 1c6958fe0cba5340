// Finds the keys that a reload cannot change.
//
// Pure.  The gateway sets up its sockets and its links to Redis only at the start.  So a restart is needed
// for the keys of [listen], for another address, TLS leg or database of Redis, and for redis.wakeups.  All
// other keys take effect on reload: a new user or password of Redis at the next connection, a JWKS when its
// source has answered, everything else at once for new requests.
#pragma once

#include <string>
#include <vector>

#include "gateway/config/config.h"

namespace tailgate {

// The keys that differ between `at_start` and `fresh` and need a restart to take effect.
std::vector<std::string> keys_that_need_a_restart(const Config& at_start, const Config& fresh);

}  // namespace tailgate
