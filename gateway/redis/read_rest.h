// ReadRest: chooses the *rest*, the time that a busy connection waits between two reads.
//
// Pure.  A wake-up and a read cost the same for one message as for three, so a rest saves CPU: one wake-up
// reads several messages.  While too few messages arrive, the rest is zero.
#pragma once

#include <chrono>
#include <cstddef>

namespace tailgate {

class ReadRest {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // The rest while most of the traffic comes from channels.
  static constexpr std::chrono::microseconds kMessageRest{280};
  // The goal of the rest for lines (entries of logs): half of the lines are delivered within this time.
  // Redis announces a line.  The announcement waits half a rest on average.  Reading the line then takes
  // about three times as long as one answer of Redis.
  static constexpr std::chrono::microseconds kHalfOfLines{930};
  // The shortest rest for lines.  Slow answers do not shorten it further: a busy machine needs the rests.
  static constexpr std::chrono::microseconds kShortestRest{800};
  // The interval after which the rest is chosen anew.
  static constexpr std::chrono::milliseconds kSpan{50};

  // Replaces kHalfOfLines.
  void set_half_of_lines(std::chrono::microseconds half) { half_of_lines_ = half; }

  void count_message() { ++messages_; }
  // Counts the lines of a log that were read because Redis announced them.
  void count_lines(std::size_t lines) { lines_ += lines; }
  // Call this when Redis has answered a read.  `took` is how long the answer took.
  void note_answer(Time::duration took);
  // How long to wait before the next read.
  std::chrono::microseconds rest(Time now);

 private:
  std::chrono::microseconds rest_of_lines() const;

  std::size_t messages_ = 0;  // since begun_
  std::size_t lines_ = 0;     // since begun_
  Time begun_{};
  std::chrono::microseconds half_of_lines_ = kHalfOfLines;
  Time::duration answer_{0};  // estimated median of the times given to note_answer()
  std::chrono::microseconds rest_{0};
};

}  // namespace tailgate
