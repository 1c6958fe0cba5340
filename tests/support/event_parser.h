// EventParser: parses an event stream by the WHATWG HTML Standard, section 9.2.6, as browsers do.
//
// It does not decode UTF-8, because that cannot change the structure, which is ASCII.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tailgate::testing {

struct ParsedEvent {
  std::string name;  // "message" if the block has no name
  std::string data;
  std::string last_id;  // the last event id after this block

  bool operator==(const ParsedEvent&) const = default;
};

class EventParser {
 public:
  // Parses the next bytes of the stream, which may be cut anywhere.
  void feed(std::string_view bytes);

  const std::vector<ParsedEvent>& events() const { return events_; }
  // The texts of the comments, without the colon and one space.
  const std::vector<std::string>& comments() const { return comments_; }
  // The names of unknown fields, and of fields with an invalid value.
  const std::vector<std::string>& ignored() const { return ignored_; }
  std::optional<std::uint64_t> retry() const { return retry_; }
  const std::string& last_id() const { return last_id_; }
  // True if the last block is complete, so that a browser dispatches it.
  bool at_rest() const { return line_.empty() && block_is_empty_; }

 private:
  void take_line(std::string_view line);
  void take_field(std::string_view name, std::string_view value);
  void dispatch();

  std::string line_;
  bool begun_ = false;  // no byte order mark can follow
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

// Parses a whole stream.
EventParser parse_events(std::string_view stream);

// `text` with LF in place of each CR and CRLF, as a browser delivers data of several lines.
std::string with_plain_line_ends(std::string_view text);

}  // namespace tailgate::testing
