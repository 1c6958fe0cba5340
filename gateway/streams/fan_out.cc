#include "gateway/streams/fan_out.h"

namespace tailgate {

namespace {

// The most deliveries in one turn of the loop.  They take 2 ms on unix sockets and 6 ms on TCP.  Everything
// else waits that long.
constexpr std::size_t kSlice = 1024;
constexpr std::chrono::milliseconds kLongestJoin{2};

}  // namespace

FanOut::FanOut(const Loop& loop, RouteMetrics& metrics)
    : turn_end_(loop, [this] { after_turn(); }),
      next_turn_(loop, [this] { turn_end_.ask(); }),
      hub_({.on_pending = [this] { turn_end_.ask(); },
            .on_skipped = [&metrics](const Route& route) { ++metrics.of(route.name).skipped; }}) {
}

bool FanOut::is_joining() {
  if (has_rest_ || !hub_.has_pending() || !more_coming_ || !more_coming_()) return false;
  const TimePoint now = Loop::now();
  if (!joining_until_) joining_until_ = now + kLongestJoin;
  return now < *joining_until_;
}

void FanOut::after_turn() {
  const bool joins = is_joining();
  if (!joins) {
    joining_until_.reset();
    has_rest_ = hub_.flush_some(kSlice);
  }
  if (joins || has_rest_) next_turn_.after(std::chrono::microseconds(0));
}

}  // namespace tailgate
