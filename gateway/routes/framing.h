// Framing: turns messages of a channel and entries of a log into SSE frames, as a route prescribes.
//
// Pure.  Knows routes, JSON and SSE; knows no stream.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/redis/entry_id.h"
#include "gateway/routes/route.h"

namespace tailgate {

// One entry of a log.  The views point into a Redis reply, which must outlive them.
struct LogEntry {
  EntryId id;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
};

enum class FramingResult {
  kFrame,      // one frame was appended
  kLastFrame,  // one frame was appended, and the stream ends after it
  kSkipped,    // nothing was appended, because the route does not carry such payloads
};

// The id of a stream's last frame.  A client that reconnects with this id gets 204 and stops.
constexpr std::string_view kEndId = "end";

// Appends the frame of a channel's message.
FramingResult append_message(std::string& out, const Route& route, std::string_view payload);

// Appends the frame of a log's entry.
void append_entry(std::string& out, const Route& route, const LogEntry& entry);

// Appends the JSON object of an entry: its id, then `fields`.  A field that the entry lacks is null.  Of a
// field that the entry has twice, the last value counts, as in the map that a client library makes of an
// entry.
void append_line(std::string& out, const std::vector<std::string>& fields, const LogEntry& entry);

// The entry's id inside the id of a last frame: 5-1 for "end.5-1", 0-0 for "end".  Nothing for other ids.
std::optional<EntryId> parse_end_id(std::string_view id);

}  // namespace tailgate
