#include "gateway/base/turn_times.h"

#include <algorithm>

namespace tailgate {

void TurnTimes::add(std::chrono::nanoseconds turn) {
  const auto bucket =
      std::ranges::find_if(kBuckets, [&](const Bucket& candidate) { return turn <= candidate.at_most; });
  ++counts_[static_cast<std::size_t>(bucket - kBuckets.begin())];
  sum_ += turn;
}

void TurnTimes::write_metrics(MetricsText& out) const {
  out.begin("tailgate_loop_turn_seconds", MetricsText::Type::kHistogram,
            "How long the turns of the event loop took.");
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < kBuckets.size(); ++i) {
    count += counts_[i];
    out.sample(MetricsText::label("le", kBuckets[i].seconds), count, "_bucket");
  }
  count += counts_.back();
  out.sample(MetricsText::label("le", "+Inf"), count, "_bucket");
  out.sample({}, std::chrono::duration<double>(sum_).count(), "_sum");
  out.sample({}, count, "_count");
}

}  // namespace tailgate
