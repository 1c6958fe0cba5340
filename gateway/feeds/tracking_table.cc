#include "gateway/feeds/tracking_table.h"

#include <algorithm>

namespace tailgate {

namespace {

// Commands like EXPIRE invalidate a key without changing its value.  So some useless invalidations are
// normal: four for each useful one, four for each key, and fifty.  4,000 cost no more than a sweep of many
// keys.
constexpr std::size_t kUselessPerUseful = 4;
constexpr std::size_t kUselessPerKey = 4;
constexpr std::size_t kMostForKeys = 4000;
constexpr std::size_t kAlwaysAllowed = 50;

}  // namespace

void TrackingTable::judge(Time now, std::size_t keys) {
  if (now - period_began_ < kPeriod) return;
  period_began_ = now;
  const std::size_t allowed =
      kUselessPerUseful * useful_ + std::min(kUselessPerKey * keys, kMostForKeys) + kAlwaysAllowed;
  bad_periods_ = useless_ > allowed ? bad_periods_ + 1 : 0;
  useful_ = useless_ = 0;
  if (bad_periods_ < kBadPeriods) return;
  bad_periods_ = 0;
  full_until_ = now + kFullFor;
}

}  // namespace tailgate
