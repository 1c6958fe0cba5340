#include "tests/support/event_parser.h"

#include <algorithm>
#include <charconv>

namespace tailgate::testing {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

void EventParser::feed(std::string_view bytes) {
  for (const char c : bytes) {
    if (c == '\n' && after_cr_) {
      after_cr_ = false;
      continue;
    }
    after_cr_ = c == '\r';
    if (c == '\r' || c == '\n') {
      begun_ = true;
      const std::string line = std::move(line_);
      line_.clear();
      take_line(line);
      continue;
    }
    line_ += c;
    if (!begun_ && line_.size() >= kByteOrderMark.size()) {
      begun_ = true;
      if (line_ == kByteOrderMark) line_.clear();
    }
  }
}

void EventParser::take_line(std::string_view line) {
  if (line.empty()) return dispatch();
  block_is_empty_ = false;
  const std::size_t colon = line.find(':');
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (colon == 0) {
    comments_.emplace_back(value);
  } else {
    take_field(line.substr(0, colon), value);
  }
}

void EventParser::take_field(std::string_view name, std::string_view value) {
  if (name == "event") {
    name_ = value;
  } else if (name == "data") {
    data_ += value;
    data_ += '\n';
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    id_ = value;
  } else if (name == "retry" && !value.empty() &&
             std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    std::uint64_t number = 0;
    std::from_chars(value.data(), value.data() + value.size(), number);
    retry_ = number;
  } else {
    ignored_.emplace_back(name);
  }
}

void EventParser::dispatch() {
  block_is_empty_ = true;
  last_id_ = id_;
  if (!data_.empty()) {
    data_.pop_back();
    events_.push_back({.name = name_.empty() ? "message" : name_, .data = data_, .last_id = last_id_});
  }
  name_.clear();
  data_.clear();
}

EventParser parse_events(std::string_view stream) {
  EventParser parser;
  parser.feed(stream);
  return parser;
}

std::string with_plain_line_ends(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      out += text[i];
    } else if (i + 1 == text.size() || text[i + 1] != '\n') {
      out += '\n';
    }
  }
  return out;
}

}  // namespace tailgate::testing
