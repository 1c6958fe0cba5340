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
  kStalled,       // accepted no byte for the send timeout
  kSlow,          // its backlog was full
  kMaxAge,        // the route's maximum age
  kDrained,       // this process is stopping
  kOwnerChanged,  // the record names another owner
  kRecordGone,    // the record has been missing for ten seconds
  kGap,           // events may be missing, and the route closes then
  kTokenExpired,  // the token that opened it, if its provider says that streams end with it
  kWrongType,     // the key has another Redis type
  kUnavailable,   // an `unavailable` stream was held for its time
  kMemory,        // behind while the process was over its memory bound
  kAnswered,      // never became a stream
};

inline constexpr std::array<std::string_view, 14> kEndReasonWords = {
    "terminal",    "client_left", "stalled",       "slow",       "max_age", "drained", "owner_changed",
    "record_gone", "gap",         "token_expired", "wrong_type", "held",    "memory",  "answered"};

constexpr std::string_view word_of(EndReason reason) {
  return kEndReasonWords[static_cast<std::size_t>(reason)];
}

}  // namespace tailgate
