// WallTime: the time of day, in which tokens and identities live and die.
//
// Pure.  Nobody here reads a clock: `now` comes from the caller.  Milliseconds, because a
// NumericDate may have a fraction, and because nanoseconds overflow in the year 2262, which a token may name.
#pragma once

#include <chrono>

namespace tailgate {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

}  // namespace tailgate
