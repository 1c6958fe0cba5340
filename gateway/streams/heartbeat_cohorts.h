// HeartbeatCohorts: spreads the heartbeats of all streams.  Heartbeats that are due together are encoded once
// for each route, unless they contain a named segment of the path.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gateway/http/chunk.h"
#include "gateway/loop/loop.h"
#include "gateway/loop/random.h"
#include "gateway/routes/route.h"

namespace tailgate {

class HeartbeatCohorts {
 public:
  // The jitter of the next stream: its heartbeats are early by this fraction of the interval, so that streams
  // do not stay in step.  The streams of a cohort share one jitter, because they are neighbours in memory.
  float next_jitter() {
    constexpr unsigned kCohort = 32;
    constexpr double kMostJitter = 0.1;
    if (opened_++ % kCohort == 0) jitter_ = static_cast<float>(random_unit() * kMostJitter);
    return jitter_;
  }

  // The heartbeat of `route` at `now`, the wheel's time.  `values` returns the values for the message's
  // ${names}; it is called only if the message has to be encoded.
  template <typename MakeValues>
  Chunk message(const Route& route, TimePoint now, const MakeValues& values) {
    if (mentions_job(route)) return encode(route, values());
    // Drops earlier encodings.  They may contain an earlier ${now}, and a reload may have freed their routes.
    if (std::exchange(encoded_at_, now) != now) encoded_.clear();
    for (const auto& [whose, chunk] : encoded_) {
      if (whose == &route) return chunk;
    }
    return encoded_.emplace_back(&route, encode(route, values())).second;
  }

 private:
  static bool mentions_job(const Route& route) {
    return std::ranges::any_of(
        route.path.names(), [&](const std::string& name) { return route.heartbeat.message.mentions(name); });
  }
  static Chunk encode(const Route& route, const Values& values) {
    std::string bytes;
    Chunk::begin(bytes);
    route.heartbeat.message.append_to(bytes, values);
    return Chunk(std::move(bytes));
  }

  float jitter_ = 0;  // of the current cohort
  unsigned opened_ = 0;
  TimePoint encoded_at_{};
  std::vector<std::pair<const Route*, Chunk>> encoded_;
};

}  // namespace tailgate
