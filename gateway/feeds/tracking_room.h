// TrackingRoom: whether Redis has room for what it tracks for us (CLIENT TRACKING).
//
// Pure.  A Redis whose tracking table is full (tracking-table-max-keys) forgets one key for another
// that is read, says that the forgotten one has changed, has it read again for that, and so on without end.
// Nothing says so but that most of what it tells of is no change.
#pragma once

#include <chrono>
#include <cstddef>

namespace tailgate {

class TrackingRoom {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // How often it is judged, and how often in a row it must have looked full.
  static constexpr std::chrono::milliseconds kSpan{500};
  static constexpr int kTimes = 4;
  // For how long it counts as full then.
  static constexpr std::chrono::minutes kFull{10};

  // An invalidation had us read a log: had that changed?
  void count(bool changed) { ++(changed ? useful_ : vain_); }
  // Judges, if the span is over; `logs` is how many are tracked.
  void look(Time now, std::size_t logs);
  bool full(Time now) const { return now < full_until_; }
  // Another server may have more.
  void begin_anew() { *this = {}; }

 private:
  std::size_t useful_ = 0;  // of this span
  std::size_t vain_ = 0;
  int times_ = 0;
  Time looked_{};
  Time full_until_{};
};

}  // namespace tailgate
