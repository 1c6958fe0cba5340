#include "gateway/redis/read_rest.h"

#include <algorithm>

namespace tailgate {

namespace {

// Resting begins when at least this many messages are expected to arrive during one rest.  With fewer
// messages, the timer of a rest costs as much as the rest saves.  For lines the threshold is lower, because
// lines that arrive together are read together.
constexpr double kMessageThreshold = 2;
constexpr double kLineThreshold = 1.5;
// Hysteresis: once resting is on, it stays on until traffic falls below 85 % of the threshold.
constexpr double kHysteresis = 0.85;
// The rest for lines applies while at least this many lines arrive for each message.
constexpr std::size_t kLinesPerMessage = 8;
// Each answer moves the estimated median by a 64th of its value.
constexpr int kMedianSteps = 64;

}  // namespace

void ReadRest::note_answer(Time::duration took) {
  const Time::duration step = answer_ / kMedianSteps + std::chrono::microseconds(1);
  answer_ = std::max(answer_ + (took > answer_ ? step : -step), Time::duration(0));
}

std::chrono::microseconds ReadRest::rest_of_lines() const {
  const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(2 * (half_of_lines_ - 3 * answer_));
  return std::max(rest, kShortestRest);
}

std::chrono::microseconds ReadRest::rest(Time now) {
  const Time::duration span = now - begun_;
  if (span >= kSpan) {
    const bool mostly_lines = lines_ >= kLinesPerMessage * messages_;
    const auto rest = mostly_lines ? rest_of_lines() : kMessageRest;
    const double expected =
        static_cast<double>(messages_ + lines_) * (rest / std::chrono::duration<double>(span));
    const double threshold = mostly_lines ? kLineThreshold : kMessageThreshold;
    const double hysteresis = rest_.count() > 0 ? kHysteresis : 1;
    rest_ = expected >= threshold * hysteresis ? rest : std::chrono::microseconds(0);
    messages_ = lines_ = 0;
    begun_ = now;
  }
  return rest_;
}

}  // namespace tailgate
