// Framing: what Redis holds, turned into the bytes of an event stream, as a route says.
//
// Pure.  Knows routes, JSON and SSE; knows no stream.  Each function appends whole events.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/redis/entry_id.h"
#include "gateway/routes/route.h"

namespace tailgate {

// One entry of a log.  The views live as long as the Redis reply they point into.
struct LogEntry {
  EntryId id;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
};

enum class Framed {
  kEvent,    // one event was appended
  kSkipped,  // the payload is not what this route carries; nothing was appended
  kLast,     // one event was appended, and the stream ends behind it
};

// The id of a stream's very last event: a client that comes back with it is told to stay away.
constexpr std::string_view kEndId = "end";

// A message from a channel.
Framed append_message(std::string& out, const Route& route, std::string_view payload);

// An entry of a log: "id:" first, so that a client cut off behind it resumes exactly there.
void append_entry(std::string& out, const Route& route, const LogEntry& entry);

// {"id":…,<the route's entry fields>}; a field that the entry lacks is null.
void append_line(std::string& out, const std::vector<std::string>& fields, const LogEntry& entry);

// "end.5-1" → 5-1, "end" → 0-0: where the stream stood that the client has seen end.
std::optional<EntryId> parse_end_id(std::string_view id);

}  // namespace tailgate
