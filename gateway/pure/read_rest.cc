#include "gateway/pure/read_rest.h"

namespace tailgate {

namespace {

// How many a rest must bring: with fewer it costs a wake-up of its own and saves none.
constexpr double kCompany = 1.2;

}  // namespace

std::chrono::microseconds ReadRest::rest(Time now) {
  const Time::duration span = now - begun_;
  if (span >= kSpan) {
    const auto rest = notifications_ > messages_ ? kNotificationRest : kMessageRest;
    const auto came = static_cast<double>(messages_ + notifications_);
    rest_ = came * rest >= kCompany * span ? rest : std::chrono::microseconds(0);
    messages_ = notifications_ = 0;
    begun_ = now;
  }
  return rest_;
}

}  // namespace tailgate
