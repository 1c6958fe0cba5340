// When a stream ends in a drain: channels first, logs later, so that not all clients come back at once.
//
// Pure.
#pragma once

#include <chrono>

namespace tailgate {

enum class DrainTurn {
  kEarly,  // in the first half of the drain's time
  kLate,   // in the second half
  kLast,   // in its last twentieth
};

// The moment between `now` and `by` at which a stream of this turn ends.  `chance` is in [0, 1).
inline std::chrono::steady_clock::time_point drain_moment(std::chrono::steady_clock::time_point now,
                                                          std::chrono::steady_clock::time_point by,
                                                          DrainTurn turn, double chance) {
  const auto half = (by - now) / 2;
  const auto part = std::chrono::duration_cast<std::chrono::steady_clock::duration>(half * chance);
  switch (turn) {
    case DrainTurn::kEarly:
      return by - half - part;
    case DrainTurn::kLate:
      return by - part;
    case DrainTurn::kLast:
      break;
  }
  return by - part / 10;
}

}  // namespace tailgate
