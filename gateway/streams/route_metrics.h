// RouteMetrics: the counters of each route.  The key is the route's name, so the counters survive a reload.
//
// Pure.  Knows the metrics' names.  Stream, Answers and FanOut update the counters.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "gateway/base/metrics_text.h"
#include "gateway/streams/end_reason.h"

namespace tailgate {

struct RouteCounts {
  std::uint64_t open = 0;  // streams open now
  std::uint64_t opened = 0;
  std::uint64_t events = 0;   // delivered; an event to two streams counts twice
  std::uint64_t bytes = 0;    // of these events and of heartbeats
  std::uint64_t skipped = 0;  // payloads that were not in the route's format
  std::uint64_t gaps = 0;     // gap and resync events sent
  std::array<std::uint64_t, kEndReasonWords.size()> ended{};
  std::map<int, std::uint64_t> answered;  // by status: requests that did not become a stream
};

class RouteMetrics {
 public:
  RouteCounts& of(std::string_view route);
  void write(MetricsText& out) const;

 private:
  std::map<std::string, RouteCounts, std::less<>> routes_;
};

}  // namespace tailgate
