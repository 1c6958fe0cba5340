// EndReason: why a stream ended, as one word for the log and the metrics.
//
// Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace tailgate {

enum class EndReason : std::uint8_t {
  kTerminal,      // the job has ended
  kClientLeft,    // FIN, RST, half-close
  kStalled,       // the client accepted no byte for the send timeout
  kSlow,          // the backlog, or the events that a stream held during a reopening, were too large
  kMaxAge,        // the route's maximum age
  kDrained,       // this process is stopping
  kOwnerChanged,  // the caller may not see the job any more
  kRecordGone,    // Redis has had no record for ten seconds, or the status endpoint reports none
  kGap,           // events may be missing, and no event reports that to the client
  kTokenExpired,  // the client's token expired, and its provider has at_expiry = "end"
  kWrongType,     // the Redis key holds another type
  kUnavailable,   // the planned end of an `unavailable` stream
  kMemory,        // the client had a backlog while the heap was over its bound
  kAnswered,      // the request never became a stream
};

inline constexpr std::array<std::string_view, 14> kEndReasonWords = {
    "terminal",    "client_left", "stalled",       "slow",       "max_age", "drained", "owner_changed",
    "record_gone", "gap",         "token_expired", "wrong_type", "held",    "memory",  "answered"};

constexpr std::string_view word_of(EndReason reason) {
  return kEndReasonWords[static_cast<std::size_t>(reason)];
}

}  // namespace tailgate
