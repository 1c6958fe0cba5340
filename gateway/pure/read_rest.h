// ReadRest: how long a busy connection rests between two reads, so that one wake-up brings several messages.
//
// Rank 1 (pure).  Waking up, reading and asking costs the same for one message as for three.  While messages
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
  // and for everything else, which takes as long as three answers of Redis: together this long, so that half
  // of them are with their clients within a millisecond.
  static constexpr std::chrono::microseconds kHalfOfLines{930};
  static constexpr std::chrono::microseconds kLongestRest{1500};
  // Where answers take longer than that leaves time for, the machine is busy, and rests are what relieves it.
  static constexpr std::chrono::microseconds kShortestRest{800};
  // How often the rate is looked at.
  static constexpr std::chrono::milliseconds kSpan{50};

  void count_message() { ++messages_; }
  void count_announcement() { ++announcements_; }
  // Redis took so long to answer what an announcement made somebody ask.
  void note_answer(Time::duration took);
  // What to wait from now on before the next read.
  std::chrono::microseconds rest(Time now);

 private:
  std::chrono::microseconds announcement_rest() const;

  std::size_t messages_ = 0;  // of this span
  std::size_t announcements_ = 0;
  Time begun_{};
  Time::duration answer_{0};  // the median of late
  std::chrono::microseconds rest_{0};
};

}  // namespace tailgate
