#include "gateway/base/log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <utility>

namespace tailgate {

namespace {

// Bytes outside ASCII are written as U+00XX: a log line is valid JSON whatever Redis or a client said.
std::string quote(std::string_view text) {
  constexpr std::size_t kLongest = 512;
  std::string out = "\"";
  for (const char c : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      std::array<char, 8> escaped{};
      (void)std::snprintf(escaped.data(), escaped.size(), "\\u%04x", byte);
      out += escaped.data();
    } else {
      out += c;
    }
  }
  out += text.size() > kLongest ? "...\"" : "\"";
  return out;
}

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "";
}

std::string wall_clock() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> date{};
  (void)std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 8> fraction{};
  (void)std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(ms));
  return std::string(date.data()) + fraction.data();
}

// Standard error is often a pipe, and whoever reads it may stop: a write would then stop us as well.  A
// pipe that can be written to takes a line of up to PIPE_BUF bytes at once (pipe(7)).
bool can_be_written() {
  pollfd standard_error{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  return poll(&standard_error, 1, 0) != 0;
}

std::string line_of(LogLevel level, std::string_view event, const std::string& fields) {
  std::string line = "{\"time\":\"" + wall_clock() + "\",\"level\":\"";
  line += name_of(level);
  line += "\",\"event\":";
  line += quote(event);
  line += fields;
  line += "}\n";
  return line;
}

}  // namespace

LogField::LogField(std::string_view name, std::string_view text) : name_(name), json_(quote(text)) {
}

LogField::LogField(std::string_view name, double number) : name_(name) {
  std::array<char, 32> text{};
  (void)std::snprintf(text.data(), text.size(), "%.3f", number);
  json_ = text.data();
}

LogField::LogField(std::string_view name, bool value) : name_(name), json_(value ? "true" : "false") {
}

void log_line(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  static std::uint64_t lost = 0;
  if (!can_be_written()) {
    ++lost;
    return;
  }
  std::string text;
  for (const LogField& field : fields) {
    text += ",\"";
    text += field.name_;
    text += "\":";
    text += field.json_;
  }
  std::string line = line_of(level, event, text);
  if (lost > 0) {
    line.insert(0, line_of(LogLevel::kWarning, "log.lost", ",\"lines\":" + std::to_string(lost)));
    lost = 0;
  }
  // One write, so that lines of several processes do not mix.  A log that cannot be written is no
  // reason to stop serving.
  (void)!write(STDERR_FILENO, line.data(), line.size());
}

bool LogValve::open(std::chrono::steady_clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - last_).count();
  last_ = now;
  room_ = std::min(burst_, room_ + seconds * per_second_);
  if (room_ < 1) {
    ++held_back_;
    return false;
  }
  room_ -= 1;
  return true;
}

std::uint64_t LogValve::take_held_back() {
  return std::exchange(held_back_, 0);
}

}  // namespace tailgate
