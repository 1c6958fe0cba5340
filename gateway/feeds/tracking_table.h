// TrackingTable: judges whether Redis's table of tracked keys (CLIENT TRACKING) is full.
//
// Pure.  A Redis whose table is full (tracking-table-max-keys) forgets one key for each other key that is
// read, and sends an invalidation for the forgotten one.  That key is then read again, and so on without end.
// Redis does not report a full table.  The only sign is that most invalidations name keys that have not
// changed.
#pragma once

#include <chrono>
#include <cstddef>

namespace tailgate {

class TrackingTable {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // The counts of one period are judged together.
  static constexpr std::chrono::milliseconds kPeriod{500};
  // The table counts as full after this many bad periods in a row …
  static constexpr int kBadPeriods = 4;
  // … for this long.
  static constexpr std::chrono::minutes kFullFor{10};

  // A key was read because of an invalidation.
  void count_invalidation(bool key_had_changed) { ++(key_had_changed ? useful_ : useless_); }
  // Ends the period if it is over; `keys` is the number of tracked keys.
  void judge(Time now, std::size_t keys);
  bool is_full(Time now) const { return now < full_until_; }
  // The server is another one, perhaps with a larger table.
  void reset() { *this = {}; }

 private:
  std::size_t useful_ = 0;  // in this period
  std::size_t useless_ = 0;
  int bad_periods_ = 0;
  Time period_began_{};
  Time full_until_{};
};

}  // namespace tailgate
