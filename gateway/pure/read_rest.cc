#include "gateway/pure/read_rest.h"

#include <algorithm>

namespace tailgate {

namespace {

// How many a rest must bring: with fewer the timer costs what the wake-ups would have.
constexpr int kCompany = 2;
// Messages wait with the notifications among which they are no more than one in so many.
constexpr std::size_t kFewMessages = 8;
// One slow answer says little.
constexpr int kAnswersRemembered = 32;

}  // namespace

void ReadRest::note_answer(Time::duration took) {
  answer_ += (std::min<Time::duration>(took, kHalfOfLines) - answer_) / kAnswersRemembered;
}

std::chrono::microseconds ReadRest::notification_rest() const {
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(kHalfOfLines - answer_);
  return std::clamp(2 * left, kMessageRest, kLongestRest);
}

std::chrono::microseconds ReadRest::rest(Time now) {
  const Time::duration span = now - begun_;
  if (span >= kSpan) {
    const bool mostly_notifications = notifications_ >= kFewMessages * messages_;
    const auto rest = mostly_notifications ? notification_rest() : kMessageRest;
    const auto came = static_cast<Time::rep>(messages_ + notifications_);
    rest_ = came * rest >= kCompany * span ? rest : std::chrono::microseconds(0);
    messages_ = notifications_ = 0;
    begun_ = now;
  }
  return rest_;
}

}  // namespace tailgate
