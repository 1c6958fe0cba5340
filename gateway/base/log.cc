#include "gateway/base/log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <vector>

#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::size_t kMaxTextBytes = 512;

std::string bounded_quote(std::string_view text) {
  if (text.size() <= kMaxTextBytes) return json_quote(text);
  return json_quote(std::string(utf8_prefix(text, kMaxTextBytes)) + "...");
}

// Standard error is often a pipe.  If its reader stops, a blocking write would stop the gateway too.  A
// writable pipe takes a line of up to PIPE_BUF bytes at once (pipe(7)).
bool can_be_written() {
  pollfd standard_error{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  return poll(&standard_error, 1, 0) != 0;
}

std::string line_of(std::string_view level, std::string_view event, const std::vector<JsonMember>& fields) {
  // "2026-11-21T10:10:10.123Z"
  const std::string time = iso_time(std::chrono::system_clock::now()).substr(0, 23) + 'Z';
  const std::string time_json = json_quote(time);
  const std::string level_json = json_quote(level);
  const std::string event_json = bounded_quote(event);
  std::vector<JsonMember> members = {{"time", time_json}, {"level", level_json}, {"event", event_json}};
  members.insert(members.end(), fields.begin(), fields.end());
  return json_object(members) + '\n';
}

}  // namespace

LogField::LogField(std::string_view name, std::string_view text) : name_(name), json_(bounded_quote(text)) {
}

LogField::LogField(std::string_view name, double number) : name_(name) {
  std::array<char, 32> text{};
  (void)std::snprintf(text.data(), text.size(), "%.3f", number);
  json_ = text.data();
}

LogField::LogField(std::string_view name, bool value) : name_(name), json_(value ? "true" : "false") {
}

void log_line(std::string_view level, std::string_view event, std::initializer_list<LogField> fields) {
  static std::uint64_t lost = 0;
  if (!can_be_written()) {
    ++lost;
    return;
  }
  std::vector<JsonMember> members;
  for (const LogField& field : fields) members.push_back({field.name_, field.json_});
  std::string line = line_of(level, event, members);
  if (lost > 0) {
    line.insert(0, line_of("warning", "log.lost", {{"lines", std::to_string(lost)}}));
    lost = 0;
  }
  // One write, so that lines of several processes do not mix.  Failures are ignored: logging must not stop
  // the gateway.
  (void)!write(STDERR_FILENO, line.data(), line.size());
}

bool LogValve::open(std::chrono::steady_clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - last_).count();
  last_ = now;
  tokens_ = std::min(burst_, tokens_ + seconds * per_second_);
  if (tokens_ < 1) {
    ++held_back_;
    return false;
  }
  tokens_ -= 1;
  return true;
}

}  // namespace tailgate
