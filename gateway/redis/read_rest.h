// ReadRest: how long a busy connection rests between two reads, so that one wake-up brings several messages.
//
// Pure.  Waking up, reading and asking costs the same for one message as for three.  While messages
// are so rare that a rest would bring hardly any company, there is none: what comes is read at once.
#pragma once

#include <chrono>
#include <cstddef>

namespace tailgate {

class ReadRest {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // A message's clients wait for it alone.
  static constexpr std::chrono::microseconds kMessageRest{280};
  // An announcement only says that there is something to ask for.  Half of all lines wait for half a rest,
  // and for everything else, which takes as long as three answers of Redis: together this long.
  static constexpr std::chrono::microseconds kHalfOfLines{930};
  // Where answers take longer than that leaves time for, the machine is busy, and rests are what relieves it.
  static constexpr std::chrono::microseconds kShortestRest{800};
  // How often the rate is looked at.
  static constexpr std::chrono::milliseconds kSpan{50};

  // Instead of kHalfOfLines.
  void set_half_of_lines(std::chrono::microseconds half) { half_of_lines_ = half; }

  void count_message() { ++messages_; }
  // Of logs, which were announced and then asked for.
  void count_lines(std::size_t lines) { lines_ += lines; }
  // Redis took so long to answer.
  void note_answer(Time::duration took);
  // What to wait from now on before the next read.
  std::chrono::microseconds rest(Time now);

 private:
  std::chrono::microseconds rest_of_lines() const;

  std::size_t messages_ = 0;  // of this span
  std::size_t lines_ = 0;
  Time begun_{};
  std::chrono::microseconds half_of_lines_ = kHalfOfLines;
  Time::duration answer_{0};  // the median of late
  std::chrono::microseconds rest_{0};
};

}  // namespace tailgate
