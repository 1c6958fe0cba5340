// When a stream ends in a drain: channels first, logs later, so that not all clients come back at once.
//
// Pure.
#pragma once

#include <chrono>

namespace tailgate {

// The part of the drain's time in which a stream ends, counted back from the end of the drain.
struct DrainPart {
  double least;
  double most;
};
inline constexpr DrainPart kFirstHalf{0.5, 1.0};
inline constexpr DrainPart kSecondHalf{0.0, 0.5};
inline constexpr DrainPart kLastTwentieth{0.0, 0.05};

// The moment between `now` and `by` at which a stream of this part ends.  `chance` is in [0, 1).
inline std::chrono::steady_clock::time_point drain_moment(std::chrono::steady_clock::time_point now,
                                                          std::chrono::steady_clock::time_point by,
                                                          DrainPart part, double chance) {
  const double before_end = part.least + chance * (part.most - part.least);
  return by - std::chrono::duration_cast<std::chrono::steady_clock::duration>((by - now) * before_end);
}

}  // namespace tailgate
