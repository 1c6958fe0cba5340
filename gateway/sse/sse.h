// SSE: the bytes of an event stream (WHATWG HTML Standard, section 9.2).
//
// Pure.  Payloads cannot forge fields or events, because CR, LF and CRLF in data begin another data line.
// The caller must check names and ids with is_sse_name().
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace tailgate {

// True if `text` can be an event's name or id.  Refuses CR and LF, which could forge a field (CWE-93), and
// NUL, because browsers ignore an id with a NUL.
bool is_sse_name(std::string_view text);

// Appends one event.  An empty `event` or `id` gets no line.  Empty `data` gets a line, because browsers
// ignore an event without data.  The id comes last.  Precondition: is_sse_name(event) and is_sse_name(id).
void append_event(std::string& out, std::string_view event, std::string_view data, std::string_view id = {});

// Appends an event's `id:` and `event:` lines and the beginning of its `data:` line.  The caller appends one
// line of data and an empty line.  The id may come first, because a browser remembers it only after the whole
// event.
void begin_event_with_id(std::string& out, std::string_view id, std::string_view event);

// Appends ": <text>", one line for each line of `text`, and an empty line.
void append_comment(std::string& out, std::string_view text);

// Appends the time after which a browser reconnects.
void append_retry(std::string& out, std::chrono::milliseconds retry);

}  // namespace tailgate
