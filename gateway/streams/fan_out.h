// FanOut: owns the hub and delivers the hub's batches at the end of the loop's turns.
//
// Knows when to deliver; the hub knows the batches and their receivers.
#pragma once

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

 private:
  void after_turn();

  TurnEnd turn_end_;
  Timer next_turn_;
  Hub hub_;
};

}  // namespace tailgate
