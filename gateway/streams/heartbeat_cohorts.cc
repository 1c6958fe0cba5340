#include "gateway/streams/heartbeat_cohorts.h"

#include "gateway/loop/random.h"

namespace tailgate {

float HeartbeatCohorts::next_jitter() {
  constexpr unsigned kCohort = 32;
  constexpr double kMostJitter = 0.1;
  if (left_in_cohort_ == 0) {
    left_in_cohort_ = kCohort;
    jitter_ = static_cast<float>(random_unit() * kMostJitter);
  }
  --left_in_cohort_;
  return jitter_;
}

Chunk HeartbeatCohorts::encode(const Route& route, const Values& values) {
  std::string bytes;
  Chunk::begin(bytes);
  route.heartbeat.message.append_to(bytes, values);
  return Chunk(std::move(bytes));
}

}  // namespace tailgate
