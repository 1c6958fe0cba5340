// MemoryBudget: keeps the heap within a bound.  Checks the heap four times a second.
//
//   above three quarters of the bound  pages and new streams are refused (503, `unavailable`);
//   above the bound                    channel streams with a backlog are cut, the largest first;
//   above the bound twice in a row     log streams with a backlog are cut too; their clients can resume.
// A stream whose client keeps up is never cut.
#pragma once

#include <cstdint>
#include <functional>

#include "gateway/base/metrics_text.h"
#include "gateway/loop/loop.h"
#include "gateway/streams/streams.h"

namespace tailgate {

class MemoryBudget {
 public:
  // `bound` returns the bound in bytes; 0: none.
  MemoryBudget(const Loop& loop, const Streams& streams, std::function<std::uint64_t()> bound);
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  bool is_tight() const { return is_tight_; }
  // How many bytes of the heap are in use.  The kernel's socket buffers do not count.
  static std::uint64_t in_use();
  static void write_metrics(MetricsText& out);

 private:
  enum class Shed { kChannels, kLogsToo };
  void check();
  void shed(std::uint64_t bytes, Shed which) const;
  static void trim();

  const Streams& streams_;
  std::function<std::uint64_t()> bound_;
  unsigned checks_ = 0;
  bool is_tight_ = false;
  bool was_over_ = false;  // at the last check
  Timer timer_;
};

}  // namespace tailgate
