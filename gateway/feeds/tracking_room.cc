#include "gateway/feeds/tracking_room.h"

#include <algorithm>

namespace tailgate {

namespace {

// An EXPIRE is a change that brings nothing, too: so many of those for each log or useful invalidation, and
// some, are nobody's fault.  No more than a sweep of many logs would cost.
constexpr std::size_t kVain = 4;
constexpr std::size_t kSome = 50;
constexpr std::size_t kMost = 4000;

}  // namespace

void TrackingRoom::look(Time now, std::size_t logs) {
  if (now - looked_ < kSpan) return;
  looked_ = now;
  times_ = vain_ > kVain * useful_ + std::min(kVain * logs, kMost) + kSome ? times_ + 1 : 0;
  useful_ = vain_ = 0;
  if (times_ < kTimes) return;
  times_ = 0;
  full_until_ = now + kFull;
}

}  // namespace tailgate
