// FanOut: owns the hub and hands out its batches at the end of the loop's turns.
//
// Knows when to deliver; the hub knows what and to whom.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <utility>

#include "gateway/feeds/hub.h"
#include "gateway/loop/loop.h"
#include "gateway/streams/route_metrics.h"

namespace tailgate {

class FanOut {
 public:
  FanOut(const Loop& loop, RouteMetrics& metrics);
  FanOut(const FanOut&) = delete;
  FanOut& operator=(const FanOut&) = delete;

  Hub& hub() { return hub_; }
  // `call` says whether more waits to be read from Redis.  Then events are held for the next ones, for 2 ms
  // at most: a write costs the same for one event as for ten.
  void set_more_coming(std::function<bool()> call) { more_coming_ = std::move(call); }

 private:
  void after_turn();
  bool is_joining();

  TurnEnd turn_end_;
  Timer next_turn_;
  Hub hub_;
  std::function<bool()> more_coming_;
  std::optional<TimePoint> joining_until_;
  bool has_rest_ = false;  // the last turn did not deliver everything
};

}  // namespace tailgate
