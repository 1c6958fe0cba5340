// ReadRest: how long a busy connection rests between two reads, so that one wake-up brings several messages.
//
// Rank 1 (pure).  Waking up, reading and asking costs the same for one message as for three.  While messages
// are so rare that a rest would bring no company, there is none: what comes is read at once.
#pragma once

#include <chrono>
#include <cstddef>

namespace tailgate {

class ReadRest {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // A message's clients wait for it alone; a notification only says that there is something to ask for.
  static constexpr std::chrono::microseconds kMessageRest{400};
  static constexpr std::chrono::microseconds kNotificationRest{800};
  // How often the rate is looked at.
  static constexpr std::chrono::milliseconds kSpan{50};

  void count_message() { ++messages_; }
  void count_notification() { ++notifications_; }
  // What to wait from now on before the next read.
  std::chrono::microseconds rest(Time now);

 private:
  std::size_t messages_ = 0;  // of this span
  std::size_t notifications_ = 0;
  Time begun_{};
  std::chrono::microseconds rest_{0};
};

}  // namespace tailgate
