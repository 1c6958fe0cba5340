// When a stream ends in a drain: channels first, logs later, so that not all clients come back at once.
//
// Pure.
#pragma once

#include <chrono>

namespace tailgate {

// The part of the drain's time in which a stream ends, counted back from the end of the drain.
struct DrainTurn {
  double least;
  double most;
};
inline constexpr DrainTurn kFirstHalf{0.5, 1.0};
inline constexpr DrainTurn kSecondHalf{0.0, 0.5};
inline constexpr DrainTurn kLastTwentieth{0.0, 0.05};

// The moment between `now` and `by` at which a stream of this turn ends.  `chance` is in [0, 1).
inline std::chrono::steady_clock::time_point drain_moment(std::chrono::steady_clock::time_point now,
                                                          std::chrono::steady_clock::time_point by,
                                                          DrainTurn turn, double chance) {
  const double part = turn.least + chance * (turn.most - turn.least);
  return by - std::chrono::duration_cast<std::chrono::steady_clock::duration>((by - now) * part);
}

}  // namespace tailgate
