// What a reload cannot change: which keys of a new configuration wait for a restart.
//
// Pure.  Sockets are bound and links to Redis made once, at the start; all else is read anew.
#pragma once

#include <string>
#include <vector>

#include "gateway/config/config.h"

namespace tailgate {

// The keys that `fresh` has otherwise than `at_start`, and that only a restart makes true.
std::vector<std::string> keys_that_need_a_restart(const Config& at_start, const Config& fresh);

}  // namespace tailgate
