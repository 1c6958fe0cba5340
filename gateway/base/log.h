// Log: one JSON object per line, written to standard error.
//
// Event names are stable and dotted ("redis.lost"); fields are short texts and numbers, never a token, a
// payload or a session id.  Lines that a client can cause must pass a LogValve.  If standard error is a full
// pipe, lines are dropped and counted (log.lost), because logging must not stop the gateway.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace tailgate {

class LogField {
 public:
  // A text of more than 512 bytes is cut there, and "..." is added.
  LogField(std::string_view name, std::string_view text);
  template <std::convertible_to<std::string_view> Text>
  LogField(std::string_view name, const Text& text) : LogField(name, std::string_view(text)) {}
  LogField(std::string_view name, double number);
  LogField(std::string_view name, bool value);
  template <std::integral Integer>
  LogField(std::string_view name, Integer number) : name_(name), json_(std::to_string(number)) {}

 private:
  friend void log_line(std::string_view, std::string_view, std::initializer_list<LogField>);

  std::string_view name_;
  std::string json_;
};

void log_line(std::string_view level, std::string_view event, std::initializer_list<LogField> fields);

inline void log_info(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log_line("info", event, fields);
}
inline void log_warning(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log_line("warning", event, fields);
}
inline void log_error(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log_line("error", event, fields);
}

// A token bucket that limits how often a line is logged, and counts the lines that are held back.
class LogValve {
 public:
  LogValve(unsigned burst, double per_second) : burst_(burst), per_second_(per_second), tokens_(burst) {}

  // True if a line may be logged now.  Otherwise the line counts as held back.
  bool open(std::chrono::steady_clock::time_point now);
  // The number of lines held back since the last call.
  std::uint64_t take_held_back() { return std::exchange(held_back_, 0); }

 private:
  double burst_;
  double per_second_;
  double tokens_;
  std::chrono::steady_clock::time_point last_{};
  std::uint64_t held_back_ = 0;
};

}  // namespace tailgate
