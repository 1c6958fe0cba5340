// WallTime: calendar time, for the expiry of tokens and identities.
//
// Pure.  Reads no clock.  Has milliseconds, because a NumericDate may have a fraction.  Nanoseconds overflow
// in 2262; a token may name a later year.
#pragma once

#include <chrono>

namespace tailgate {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

}  // namespace tailgate
