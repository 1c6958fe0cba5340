// Finds the keys that a reload cannot change.
//
// Pure.  Sockets are bound and Redis links are made once, at the start.  Every other key takes effect on
// reload.
#pragma once

#include <string>
#include <vector>

#include "gateway/config/config.h"

namespace tailgate {

// The keys whose values differ between `at_start` and `fresh` and that need a restart to take effect.
std::vector<std::string> keys_that_need_a_restart(const Config& at_start, const Config& fresh);

}  // namespace tailgate
