// A run of `load streams`: opens the streams, publishes, and prints what the deliveries cost.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "tests/bench/fleet.h"
#include "tests/bench/load_options.h"
#include "tests/bench/process_cost.h"
#include "tests/bench/publisher.h"
#include "tests/bench/report.h"

namespace tailgate::bench {

// Returns the exit status.
inline int run_streams(const Options& options) {
  Report report;
  Fleet fleet(options);
  std::vector<std::int64_t> memory;
  for (const ProcessGroup& group : options.watched) memory.push_back(group.memory_bytes());
  {
    const Stopwatch watch(options);
    fleet.open();
    watch.report(report, "open");
    report.add("open", fleet.openings());
  }
  fleet.idle(options.settle_s);
  for (std::size_t i = 0; i < memory.size(); ++i) {
    report.add("memory_" + options.watched[i].name(), options.watched[i].memory_bytes() - memory[i]);
  }
  if (options.idle_s > 0) {
    fleet.forget_measures();
    const Stopwatch watch(options);
    fleet.idle(options.idle_s);
    watch.report(report, "idle");
    report.add("idle_beats", fleet.beats());
  }
  if (options.publisher) {
    Publisher publisher(fleet.poller(), options);
    // One message for each topic, unmeasured, so that buffers reach their size.
    fleet.run(publisher, options.topics, options.topics > 1 ? std::max(options.rate, 2000.0) : 0, 64);
    fleet.idle(options.settle_s);
    fleet.forget_measures();
    const std::uint64_t before = fleet.received();
    const std::uint64_t asked_before = options.redis ? log_reads(*options.redis) : 0;
    const Stopwatch watch(options);
    fleet.run(publisher, options.messages, options.rate, options.window);
    watch.report(report, "run");
    report.add("run_deliveries", fleet.received() - before);
    report.add("run_reads", fleet.reads());
    if (options.redis) report.add("run_log_reads", log_reads(*options.redis) - asked_before);
    report.add("run", fleet.latencies());
    if (options.storm > 0) {
      {
        const Stopwatch cut(options);
        fleet.cut();
        fleet.idle(4 * options.settle_s);
        cut.report(report, "cut");
      }
      for (std::size_t i = 0; i < options.storm; ++i) fleet.publish(publisher, now_ns());
      publisher.flush();
      fleet.idle(options.settle_s);
      fleet.forget_measures();
      const std::uint64_t missed_before = fleet.received();
      const Stopwatch back(options);
      fleet.open();
      fleet.run(publisher, 0, 0, 0);
      back.report(report, "back");
      report.add("back_deliveries", fleet.received() - missed_before);
    }
  }
  const bool is_right = fleet.report(report);
  report.print();
  if (!is_right) std::fprintf(stderr, "not all deliveries are right\n");
  return is_right ? 0 : 1;
}

}  // namespace tailgate::bench
