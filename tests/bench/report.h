// Report: the figures of a run, as one JSON object.  Stopwatch: the time and the CPU time of one phase.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/bench/histogram.h"
#include "tests/bench/load_options.h"
#include "tests/bench/process_cost.h"

namespace tailgate::bench {

class Report {
 public:
  void add(const std::string& name, double value) {
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "%.9g", value);
    put(name, text.data());
  }
  template <std::integral T>
  void add(const std::string& name, T value) {
    put(name, std::to_string(value));
  }
  void add(const std::string& name, const Histogram& latencies) {
    add(name + "_p50_us", static_cast<double>(latencies.quantile(0.5)) / 1000);
    add(name + "_p99_us", static_cast<double>(latencies.quantile(0.99)) / 1000);
    add(name + "_p999_us", static_cast<double>(latencies.quantile(0.999)) / 1000);
    add(name + "_max_us", static_cast<double>(latencies.greatest()) / 1000);
  }
  void print() const { std::printf("{%s}\n", text_.c_str()); }

 private:
  void put(const std::string& name, const std::string& value) {
    if (!text_.empty()) text_ += ", ";
    text_ += '"' + name + "\": " + value;
  }
  std::string text_;
};

// Measures the time and the watched processes' CPU time from its construction on.
class Stopwatch {
 public:
  explicit Stopwatch(const Options& options) : options_(options), began_(now_ns()) {
    for (const ProcessGroup& group : options.watched) cpu_.push_back(group.cpu_ns());
  }
  void report(Report& report, const std::string& phase) const {
    report.add(phase + "_s", static_cast<double>(now_ns() - began_) / kSecond);
    for (std::size_t i = 0; i < cpu_.size(); ++i) {
      const std::int64_t spent = options_.watched[i].cpu_ns() - cpu_[i];
      report.add(phase + "_cpu_" + options_.watched[i].name() + "_us", static_cast<double>(spent) / 1000);
    }
  }

 private:
  const Options& options_;
  std::int64_t began_;
  std::vector<std::int64_t> cpu_;
};

}  // namespace tailgate::bench
