// TrackingTable: judges whether Redis's table of tracked keys (CLIENT TRACKING) is full.
//
// Pure.  While the table is full (tracking-table-max-keys), each key that is read evicts another key, and
// Redis sends an invalidation for the evicted key.  That key is then read again and evicts another one, and
// so on.  Redis does not report a full table.  The only sign is that most invalidations name keys that have
// not changed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace tailgate {

class TrackingTable {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // The counts of one period are judged together.
  static constexpr std::chrono::milliseconds kPeriod{500};
  // After this many bad periods in a row, the table counts as full.
  static constexpr int kBadPeriods = 4;
  // How long the table then counts as full.
  static constexpr std::chrono::minutes kFullFor{10};

  // Call this after a key was read because of an invalidation.
  void count_invalidation(bool key_had_changed) { ++(key_had_changed ? useful_ : useless_); }
  // Once a period is over, judges its counts and begins the next; `keys` is the number of tracked keys.
  void judge(Time now, std::size_t keys) {
    if (now - period_began_ < kPeriod) return;
    // Commands like EXPIRE invalidate a key without changing its value, so some useless invalidations are
    // allowed: the sum of 4 for each useful one, 4 for each key (at most 4,000) and 50.
    const std::size_t allowed = 4 * useful_ + std::min<std::size_t>(4 * keys, 4000) + 50;
    bad_periods_ = useless_ > allowed ? bad_periods_ + 1 : 0;
    useful_ = useless_ = 0;
    period_began_ = now;
    if (bad_periods_ < kBadPeriods) return;
    bad_periods_ = 0;
    full_until_ = now + kFullFor;
  }
  bool is_full(Time now) const { return now < full_until_; }
  // Call this after a reconnect: the server may be another one, with a larger table.
  void reset() { *this = {}; }

 private:
  std::size_t useful_ = 0;  // in this period
  std::size_t useless_ = 0;
  int bad_periods_ = 0;
  Time period_began_{};
  Time full_until_{};
};

}  // namespace tailgate
