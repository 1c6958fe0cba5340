// ReadRest: how long a busy connection waits between two reads, so that one wake-up reads several messages.
//
// Pure.  A wake-up, a read and a command cost the same for one message as for three.  While messages are so
// rare that a wait would rarely join two of them, the wait is zero.
#pragma once

#include <chrono>
#include <cstddef>

namespace tailgate {

class ReadRest {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // The rest while messages of channels prevail.
  static constexpr std::chrono::microseconds kMessageRest{280};
  // The median delay of a log's line that the rest aims at.  An announcement waits for half a rest on
  // average; the read that follows takes about as long as three answers of Redis.
  static constexpr std::chrono::microseconds kHalfOfLines{930};
  // The rest for lines is never shorter: slow answers mean a busy machine, which needs the rests.
  static constexpr std::chrono::microseconds kShortestRest{800};
  // How often the rest is chosen anew.
  static constexpr std::chrono::milliseconds kSpan{50};

  // Replaces kHalfOfLines.
  void set_half_of_lines(std::chrono::microseconds half) { half_of_lines_ = half; }

  void count_message() { ++messages_; }
  // Counts the lines of a log that were read because Redis announced them.
  void count_lines(std::size_t lines) { lines_ += lines; }
  // Redis answered a read after `took`.
  void note_answer(Time::duration took);
  // How long to wait before the next read.
  std::chrono::microseconds rest(Time now);

 private:
  std::chrono::microseconds rest_of_lines() const;

  std::size_t messages_ = 0;  // of this span
  std::size_t lines_ = 0;
  Time begun_{};
  std::chrono::microseconds half_of_lines_ = kHalfOfLines;
  Time::duration answer_{0};  // estimated median of note_answer()
  std::chrono::microseconds rest_{0};
};

}  // namespace tailgate
