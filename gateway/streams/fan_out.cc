#include "gateway/streams/fan_out.h"

namespace tailgate {

namespace {

// The most deliveries in one turn of the loop.  They take 2 ms on unix sockets and 6 ms on TCP.
constexpr std::size_t kSlice = 1024;

}  // namespace

FanOut::FanOut(const Loop& loop, RouteMetrics& metrics)
    : turn_end_(loop, [this] { after_turn(); }),
      next_turn_(loop, [this] { turn_end_.ask(); }),
      hub_({.on_pending = [this] { turn_end_.ask(); },
            .on_skipped = [&metrics](const Route& route) { ++metrics.of(route.name).skipped; }}) {
}

void FanOut::after_turn() {
  if (hub_.flush_some(kSlice)) next_turn_.after(std::chrono::microseconds(0));
}

}  // namespace tailgate
