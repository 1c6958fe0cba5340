// Finds the keys that a reload cannot change.
//
// Pure.  The gateway binds its sockets and makes its links to Redis only at the start, so the keys of sockets
// and links need a restart.  All other keys take effect on reload.
#pragma once

#include <string>
#include <vector>

#include "gateway/config/config.h"

namespace tailgate {

// The keys that differ between `at_start` and `fresh` and need a restart to take effect.
std::vector<std::string> keys_that_need_a_restart(const Config& at_start, const Config& fresh);

}  // namespace tailgate
