// WallTime: calendar time, for the expiry of tokens and identities.
//
// Pure.  Reads no clock.  Counts milliseconds.  Seconds would lose the fraction of a NumericDate (RFC 7519).
// Nanoseconds would overflow in 2262, but a token may name a later year.
#pragma once

#include <chrono>

namespace tailgate {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

}  // namespace tailgate
