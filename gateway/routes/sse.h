// SSE: the bytes of an event stream, as the WHATWG HTML Standard (section 9.2) has them read.
//
// Pure.  Knows text; knows no event's meaning.  Whatever is in a payload, a name or an id, it
// can forge neither a field nor an event: CR, LF and CRLF in data begin further data lines, and a
// name or id that holds one is the caller's error.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace tailgate {

// May `text` be an event's name or id?  No CR, LF or NUL (CWE-93; a NUL makes browsers drop an id).
bool is_sse_name(std::string_view text);

// Appends one whole event.  `event` and `id` may be empty, then their lines are not written; `data`
// gets a line even when empty, because a block without data dispatches nothing.  The id comes last.
// Precondition: is_sse_name(event) and is_sse_name(id).
void append_event(std::string& out, std::string_view event, std::string_view data, std::string_view id = {});

// Appends ": <text>" and an empty line; further lines of `text` become comments too.
void append_comment(std::string& out, std::string_view text);

// Appends a block that sets the reconnection time.
void append_retry(std::string& out, std::chrono::milliseconds retry);

}  // namespace tailgate
