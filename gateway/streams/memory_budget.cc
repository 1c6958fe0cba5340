#include "gateway/streams/memory_budget.h"

#include <malloc.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "gateway/base/log.h"

#ifdef __SANITIZE_ADDRESS__  // mallinfo2() does not see ASan's allocator; g++ 12 has no header for this
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();  // NOLINT(bugprone-reserved-identifier)
#endif

namespace tailgate {

namespace {

constexpr std::chrono::milliseconds kCheckEvery{250};
constexpr unsigned kChecksPerTrim = 40;
[[maybe_unused]] constexpr std::size_t kWorthTrimming = 512U * 1024;

}  // namespace

MemoryBudget::MemoryBudget(const Loop& loop, const Streams& streams, std::function<std::uint64_t()> bound)
    : streams_(streams), bound_(std::move(bound)), timer_(loop, [this] { check(); }) {
  timer_.after(kCheckEvery);
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

// Returns memory of closed streams to the system.
void MemoryBudget::trim() {
#ifndef __SANITIZE_ADDRESS__
  const struct mallinfo2 heap = mallinfo2();
  if (heap.fordblks > std::max(kWorthTrimming, heap.uordblks / 8)) malloc_trim(kWorthTrimming / 4);
#endif
}

void MemoryBudget::check() {
  timer_.after(kCheckEvery);
  if (++checks_ % kChecksPerTrim == 0) trim();
  const std::uint64_t bound = bound_();
  const std::uint64_t now = bound == 0 ? 0 : in_use();
  const std::uint64_t goal = bound / 4 * 3;
  const bool is_tight = bound != 0 && now > goal;
  if (std::exchange(is_tight_, is_tight) != is_tight) {
    log_warning(is_tight ? "memory.tight" : "memory.relaxed", {{"bytes", now}, {"bound", bound}});
  }
  const bool is_over = bound != 0 && now > bound;
  const bool again = std::exchange(was_over_, is_over);
  if (is_over) shed(now - goal, again ? Shed::kLogsToo : Shed::kChannels);
}

// Cuts the streams with the largest backlogs, enough of them to free `bytes`.
void MemoryBudget::shed(std::uint64_t bytes, Shed which) const {
  std::vector<std::pair<std::size_t, ActiveRequest*>> behind;
  streams_.for_each([&](ActiveRequest& stream) {
    if (!stream.open() || (which == Shed::kChannels && stream.route().source == Source::kLog)) return;
    if (const std::size_t backlog = stream.backlog(); backlog > 0) behind.emplace_back(backlog, &stream);
  });
  std::sort(behind.begin(), behind.end(), std::greater<>());
  std::uint64_t freed = 0;
  std::uint64_t cut = 0;
  for (const auto& [backlog, stream] : behind) {
    if (freed >= bytes) break;
    stream->condemn(EndReason::kMemory, ActiveRequest::Ending::kCut);
    freed += backlog;
    ++cut;
  }
  log_warning("memory.shed", {{"streams", cut}, {"bytes", freed}});
}

}  // namespace tailgate
