// DrainPart: chooses when each stream ends in a drain, so that clients do not all reconnect at the same time.
//
// Pure.  Channel streams end in the first half, log streams in the second half, `unavailable` streams last.
#pragma once

#include <chrono>

namespace tailgate {

// The part of the drain in which a stream ends.  Both bounds are fractions of the time that is left: 1 at the
// start of the drain, 0 at its end.
struct DrainPart {
  double least;
  double most;
};
inline constexpr DrainPart kFirstHalf{0.5, 1.0};
inline constexpr DrainPart kSecondHalf{0.0, 0.5};
inline constexpr DrainPart kLastTwentieth{0.0, 0.05};

// The moment at which a stream of `part` ends in a drain from `now` to `by`.  `chance` is random in [0, 1).
inline std::chrono::steady_clock::time_point drain_moment(std::chrono::steady_clock::time_point now,
                                                          std::chrono::steady_clock::time_point by,
                                                          DrainPart part, double chance) {
  const double before_end = part.least + chance * (part.most - part.least);
  return by - std::chrono::duration_cast<std::chrono::steady_clock::duration>((by - now) * before_end);
}

}  // namespace tailgate
