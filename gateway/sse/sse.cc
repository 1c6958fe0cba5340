#include "gateway/sse/sse.h"

#include <algorithm>
#include <cassert>

namespace tailgate {

namespace {

// Appends each line of `text` with `prefix` before it.
void append_lines(std::string& out, std::string_view prefix, std::string_view text) {
  // find() of one character uses memchr(); find_first_of("\r\n") would compare byte by byte.
  std::size_t lf = text.find('\n');
  std::size_t cr = text.find('\r');
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = std::min({lf, cr, text.size()});
    out += prefix;
    out.append(text, begin, end - begin);
    out += '\n';
    if (end == text.size()) return;
    const bool is_crlf = end == cr && lf == cr + 1;
    begin = end + (is_crlf ? 2 : 1);
    if (lf < begin) lf = text.find('\n', begin);
    if (cr < begin) cr = text.find('\r', begin);
  }
}

}  // namespace

bool is_sse_name(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

void append_event(std::string& out, std::string_view event, std::string_view data, std::string_view id) {
  assert(is_sse_name(event) && is_sse_name(id));
  if (!event.empty()) {
    out += "event: ";
    out += event;
    out += '\n';
  }
  append_lines(out, "data: ", data);
  if (!id.empty()) {
    out += "id: ";
    out += id;
    out += '\n';
  }
  out += '\n';
}

void begin_event_with_id(std::string& out, std::string_view id, std::string_view event) {
  out += "id: ";
  out += id;
  out += "\nevent: ";
  out += event;
  out += "\ndata: ";
}

void append_comment(std::string& out, std::string_view text) {
  append_lines(out, ": ", text);
  out += '\n';
}

void append_retry(std::string& out, std::chrono::milliseconds retry) {
  out += "retry: ";
  out += std::to_string(retry.count());
  out += "\n\n";
}

}  // namespace tailgate
