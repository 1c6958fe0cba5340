// TurnTimes: a histogram of how long the turns of the loop took.
//
// Pure.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gateway/base/metrics_text.h"

namespace tailgate {

class TurnTimes {
 public:
  void add(std::chrono::nanoseconds turn);
  void write_metrics(MetricsText& out) const;

 private:
  struct Bucket {
    std::chrono::microseconds at_most;
    std::string_view seconds;  // `at_most` as the metrics show it
  };
  static constexpr std::array<Bucket, 9> kBuckets = {{{std::chrono::microseconds(50), "0.00005"},
                                                      {std::chrono::microseconds(100), "0.0001"},
                                                      {std::chrono::microseconds(200), "0.0002"},
                                                      {std::chrono::microseconds(500), "0.0005"},
                                                      {std::chrono::microseconds(1'000), "0.001"},
                                                      {std::chrono::microseconds(2'000), "0.002"},
                                                      {std::chrono::microseconds(5'000), "0.005"},
                                                      {std::chrono::microseconds(20'000), "0.02"},
                                                      {std::chrono::microseconds(100'000), "0.1"}}};

  std::array<std::uint64_t, kBuckets.size() + 1> counts_{};  // the last: turns above all buckets
  std::chrono::nanoseconds sum_{};
};

}  // namespace tailgate
