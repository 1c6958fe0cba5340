#include "gateway/redis/read_rest.h"

#include <algorithm>

namespace tailgate {

namespace {

// How many messages a rest must bring: with fewer the timer costs what the wake-ups would have.  Company
// saves lines more, because they are asked for together.
constexpr double kCompany = 2;
constexpr double kCompanyOfLines = 1.5;
// What rests already goes on with so much of that.
constexpr double kStill = 0.85;
// Messages wait as long as lines where they are no more than one for so many of those.
constexpr std::size_t kFewMessages = 8;
// By what part of itself the median moves towards an answer.
constexpr int kPartOfAnswer = 64;

}  // namespace

void ReadRest::note_answer(Time::duration took) {
  const Time::duration step = answer_ / kPartOfAnswer + std::chrono::microseconds(1);
  answer_ = std::max(answer_ + (took > answer_ ? step : -step), Time::duration(0));
}

std::chrono::microseconds ReadRest::rest_of_lines() const {
  const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(2 * (half_of_lines_ - 3 * answer_));
  return std::max(rest, kShortestRest);
}

std::chrono::microseconds ReadRest::rest(Time now) {
  const Time::duration span = now - begun_;
  if (span >= kSpan) {
    const bool mostly_lines = lines_ >= kFewMessages * messages_;
    const auto rest = mostly_lines ? rest_of_lines() : kMessageRest;
    const double company =
        static_cast<double>(messages_ + lines_) * (rest / std::chrono::duration<double>(span));
    const double enough = mostly_lines ? kCompanyOfLines : kCompany;
    const double still = rest_.count() > 0 ? kStill : 1;
    rest_ = company >= enough * still ? rest : std::chrono::microseconds(0);
    messages_ = lines_ = 0;
    begun_ = now;
  }
  return rest_;
}

}  // namespace tailgate
