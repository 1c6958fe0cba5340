// WallTime: the time of day, in which the expiry of tokens and identities is given.
//
// Pure.  Reads no clock.  Milliseconds, because a NumericDate may have a fraction, and because nanoseconds
// overflow in the year 2262, which a token may name.
#pragma once

#include <chrono>

namespace tailgate {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

}  // namespace tailgate
