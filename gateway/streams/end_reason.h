// EndReason: why a stream ended, in one word for its client's sake, the log's and the metrics'.
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
  kStalled,       // accepted no byte for the send timeout
  kSlow,          // its backlog was full
  kMaxAge,        // the route's maximum age
  kDrained,       // this process is going
  kOwnerChanged,  // the record names somebody else now
  kRecordGone,    // there has been no record for ten seconds
  kGap,           // events may be missing, and the route closes then
  kTokenExpired,  // the token that opened it, where the provider says so
  kWrongType,     // the key holds something else
  kHeld,          // an "unavailable" answer has been held for its time
  kMemory,        // behind, when the process was out of its memory budget
  kAnswered,      // never became a stream: the request got another answer
};

inline constexpr std::array<std::string_view, 14> kEndReasonWords = {
    "terminal",    "client_left", "stalled",       "slow",       "max_age", "drained", "owner_changed",
    "record_gone", "gap",         "token_expired", "wrong_type", "held",    "memory",  "answered"};

constexpr std::string_view word_of(EndReason reason) {
  return kEndReasonWords[static_cast<std::size_t>(reason)];
}

}  // namespace tailgate
