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
  kSkipped,    // nothing was appended, because the payload does not have the route's format
};

// The id of a stream's last frame; on a log, "." and the id of the last entry follow.  If the job's record is
// still terminal, a client that reconnects with this id gets 204 and stops.
constexpr std::string_view kEndId = "end";

// Appends the frame of a channel's message.
FramingResult append_message(std::string& out, const Route& route, std::string_view payload);

// Appends the frame of a log's entry.
void append_entry(std::string& out, const Route& route, const LogEntry& entry);

// Appends the JSON object of an entry: its id, then `fields`.  A field that the entry lacks is null.  If the
// entry has a field twice, the last value counts, as it does when a client library makes a map of an entry.
void append_line(std::string& out, const std::vector<std::string>& fields, const LogEntry& entry);

// The entry's id inside the id of a last frame: 5-1 for "end.5-1", 0-0 for "end".  Nothing for other ids.
std::optional<EntryId> parse_end_id(std::string_view id);

}  // namespace tailgate
