#include "gateway/pure/read_rest.h"

#include <algorithm>

namespace tailgate {

namespace {

// How many messages a rest must bring: with fewer the timer costs what the wake-ups would have.  The company
// of an announcement saves more, because they are asked about together.
constexpr double kCompany = 2;
constexpr double kCompanyOfAnnouncements = 1.5;
// Messages wait with the announcements of logs among which they are no more than one in so many.
constexpr std::size_t kFewMessages = 8;
// By what part of itself the median moves towards an answer.
constexpr int kPartOfAnswer = 64;

}  // namespace

void ReadRest::note_answer(Time::duration took) {
  const Time::duration step = answer_ / kPartOfAnswer + std::chrono::microseconds(1);
  answer_ = std::max(answer_ + (took > answer_ ? step : -step), Time::duration(0));
}

std::chrono::microseconds ReadRest::announcement_rest() const {
  const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(2 * (kHalfOfLines - 3 * answer_));
  return std::clamp(rest, kShortestRest, kLongestRest);
}

std::chrono::microseconds ReadRest::rest(Time now) {
  const Time::duration span = now - begun_;
  if (span >= kSpan) {
    const bool mostly_announcements = announcements_ >= kFewMessages * messages_;
    const auto rest = mostly_announcements ? announcement_rest() : kMessageRest;
    const double company =
        static_cast<double>(messages_ + announcements_) * (rest / std::chrono::duration<double>(span));
    const double enough = mostly_announcements ? kCompanyOfAnnouncements : kCompany;
    rest_ = company >= enough ? rest : std::chrono::microseconds(0);
    messages_ = announcements_ = 0;
    begun_ = now;
  }
  return rest_;
}

}  // namespace tailgate
