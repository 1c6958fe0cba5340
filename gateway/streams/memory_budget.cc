#include "gateway/streams/memory_budget.h"

#include <malloc.h>

#include <algorithm>
#include <utility>

#include "gateway/base/log.h"

#ifdef __SANITIZE_ADDRESS__  // whose allocator mallinfo2() does not see; g++ 12 ships no header for it
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();  // NOLINT(bugprone-reserved-identifier)
#endif

namespace tailgate {

namespace {

constexpr std::chrono::milliseconds kLookEvery{250};
constexpr unsigned kLooksPerTrim = 40;
[[maybe_unused]] constexpr std::size_t kWorthTrimming = 512U * 1024;

}  // namespace

MemoryBudget::MemoryBudget(const Loop& loop, Streams& streams, std::function<std::uint64_t()> bound)
    : streams_(streams), bound_(std::move(bound)), timer_(loop, [this] { look(); }) {
  timer_.after(kLookEvery);
}

std::uint64_t MemoryBudget::in_use() {
#ifdef __SANITIZE_ADDRESS__
  return __sanitizer_get_current_allocated_bytes();
#else
  const struct mallinfo2 heap = mallinfo2();
  return heap.uordblks + heap.hblkhd;
#endif
}

void MemoryBudget::write_metrics(MetricsText& out) {
  out.gauge("tailgate_heap_bytes", "What the heap holds, as limits.memory_mb counts it.", in_use());
}

// What many streams have left behind goes back to the system.
void MemoryBudget::trim() {
#ifndef __SANITIZE_ADDRESS__
  const struct mallinfo2 heap = mallinfo2();
  if (heap.fordblks > std::max(kWorthTrimming, heap.uordblks / 8)) malloc_trim(kWorthTrimming / 4);
#endif
}

void MemoryBudget::look() {
  timer_.after(kLookEvery);
  if (++looks_ % kLooksPerTrim == 0) trim();
  const std::uint64_t bound = bound_();
  const std::uint64_t now = bound == 0 ? 0 : in_use();
  const std::uint64_t goal = bound / 4 * 3;
  const bool is_tight = bound != 0 && now > goal;
  if (std::exchange(is_tight_, is_tight) != is_tight) {
    log_warning(is_tight ? "memory.tight" : "memory.relaxed", {{"bytes", now}, {"bound", bound}});
  }
  const bool is_over = bound != 0 && now > bound;
  const bool again = std::exchange(was_over_, is_over);
  if (is_over) streams_.shed(now - goal, again ? Streams::Shed::kLogsToo : Streams::Shed::kChannels);
}

}  // namespace tailgate
