// EventParser: an event stream read as the WHATWG HTML Standard, section 9.2.6, has browsers read it.
//
// Bytes stay bytes: a browser decodes UTF-8 first, which touches no ASCII and so nothing of the structure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tailgate::testing {

struct ParsedEvent {
  std::string name;  // "message" where the block names none
  std::string data;
  std::string last_id;  // the last event id at that moment, this block's or an earlier one's

  bool operator==(const ParsedEvent&) const = default;
};

class EventParser {
 public:
  // The next bytes of the stream, cut anywhere.
  void feed(std::string_view bytes);

  const std::vector<ParsedEvent>& events() const { return events_; }
  // Without the colon and one space behind it.
  const std::vector<std::string>& comments() const { return comments_; }
  // Names of fields that mean nothing, and of those whose value does not.
  const std::vector<std::string>& ignored() const { return ignored_; }
  std::optional<std::uint64_t> retry() const { return retry_; }
  const std::string& last_id() const { return last_id_; }
  // Does the stream end with an empty line?  What stands behind the last one is never dispatched.
  bool at_rest() const { return line_.empty() && block_is_empty_; }

 private:
  void take_line(std::string_view line);
  void take_field(std::string_view name, std::string_view value);
  void dispatch();

  std::string line_;
  bool begun_ = false;  // what could be a byte order mark is behind us
  bool after_cr_ = false;
  bool block_is_empty_ = true;
  std::string name_;
  std::string data_;
  std::string id_;
  std::string last_id_;
  std::optional<std::uint64_t> retry_;
  std::vector<ParsedEvent> events_;
  std::vector<std::string> comments_;
  std::vector<std::string> ignored_;
};

// All of `stream` at once.
EventParser parse_events(std::string_view stream);

// `text` with each CR and CRLF made an LF: what data of several lines comes out as.
std::string with_plain_line_ends(std::string_view text);

}  // namespace tailgate::testing
