// Backoff: how long to wait before the next attempt.
//
// Pure.  The wait doubles from `first` to `longest`.  Each wait is shortened by up to half at random, so that
// clients which lost the same server do not all reconnect at once.
#pragma once

#include <algorithm>
#include <chrono>

namespace tailgate {

class Backoff {
 public:
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds longest)
      : first_(first), longest_(longest), next_(first) {}

  void on_success() { next_ = first_; }
  // The wait before the next attempt.  `random` is in [0, 1).
  std::chrono::milliseconds on_failure(double random) {
    const auto wait = next_;
    next_ = std::min(next_ * 2, longest_);
    return std::chrono::duration_cast<std::chrono::milliseconds>(wait * (1.0 - random / 2));
  }

 private:
  std::chrono::milliseconds first_;
  std::chrono::milliseconds longest_;
  std::chrono::milliseconds next_;
};

}  // namespace tailgate
