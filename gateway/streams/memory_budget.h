// MemoryBudget: keeps the process within the memory it may use, and says in which order it gives way.
//
// Knows the heap's size and the streams' backlogs.  Looks four times a second:
//   above three quarters  pages and new streams are refused (503, "unavailable");
//   above all of it       channel streams with a backlog are cut, the largest first;
//   still above it        log streams with a backlog too, whose clients resume where they were.
// A stream whose client keeps up is never touched.
#pragma once

#include <cstdint>
#include <functional>

#include "gateway/base/metrics_text.h"
#include "gateway/loop/loop.h"
#include "gateway/streams/streams.h"

namespace tailgate {

class MemoryBudget {
 public:
  // `bound` says how many bytes there may be; 0: no bound.
  MemoryBudget(const Loop& loop, Streams& streams, std::function<std::uint64_t()> bound);
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  bool is_tight() const { return is_tight_; }
  // What the heap holds, in bytes.  Socket buffers are the kernel's and not part of it.
  static std::uint64_t in_use();
  static void write_metrics(MetricsText& out);

 private:
  void look();
  static void trim();

  Streams& streams_;
  std::function<std::uint64_t()> bound_;
  unsigned looks_ = 0;
  bool is_tight_ = false;
  bool was_over_ = false;  // at the last look
  Timer timer_;
};

}  // namespace tailgate
