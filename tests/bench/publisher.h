// Publisher: sends numbered messages through Redis or to a server.  Each carries the time at which it
// was due.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/bench/address.h"
#include "tests/bench/connection.h"
#include "tests/bench/load_options.h"
#include "tests/bench/process_cost.h"
#include "tests/bench/resp.h"

namespace tailgate::bench {

// Each message carries its number and the time at which it was due: "@0000000012@0000001234567890123@xxx".
inline constexpr std::size_t kNumberAt = 1;
inline constexpr std::size_t kTimeAt = 12;
inline constexpr std::size_t kMarkLength = 32;

inline std::string marked(std::size_t message, std::int64_t due, std::size_t bytes) {
  std::array<char, kMarkLength + 1> mark{};
  std::snprintf(mark.data(), mark.size(), "@%010zu@%019lld@", message, static_cast<long long>(due));
  std::string text(mark.data(), kMarkLength);
  if (bytes > text.size()) text.append(bytes - text.size(), 'x');
  return text;
}

template <typename T>
T digits(const char* at, int count) {
  T value = 0;
  for (int i = 0; i < count; ++i) value = value * 10 + static_cast<T>(at[i] - '0');
  return value;
}

class Publisher : private Handler {
 public:
  Publisher(const Poller& poller, const Options& options) : poller_(poller), options_(options) {
    if (!pipe_.connect(*options.publisher, 0, false)) die_of_errno("the publisher's connection");
    poller_.watch(pipe_.fd(), EPOLLIN, *this, true);
  }

  void publish(std::size_t message, std::int64_t due) {
    const std::string topic = filled(options_.topic, message % options_.topics);
    switch (options_.verb) {
      case Options::Verb::kPublish:
        append_command(out_, {"PUBLISH", topic, payload(message, due)});
        break;
      case Options::Verb::kLog:
        append_command(out_,
                       {"XADD", topic, "MAXLEN", "~", "50000", "*", "ts", "2026-01-01T00:00:00Z", "source",
                        "build", "text", marked(message, due, options_.bytes), "phase", "compile"});
        break;
      case Options::Verb::kPost: {
        const std::string body = payload(message, due);
        out_ += "POST " + topic +
                " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body;
        break;
      }
    }
  }
  void flush() {
    while (!out_.empty()) {
      const ssize_t sent = pipe_.write(out_);
      if (sent < 0) die("the publisher's connection is gone");
      if (sent == 0) break;
      out_.erase(0, static_cast<std::size_t>(sent));
    }
    poller_.watch(pipe_.fd(), out_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT, *this, false);
  }

 private:
  std::string payload(std::size_t message, std::int64_t due) const {
    constexpr std::string_view kAround = R"({"event":""})";
    const std::size_t inner = options_.bytes > kAround.size() ? options_.bytes - kAround.size() : 0;
    return R"({"event":")" + marked(message, due, inner) + R"("})";
  }
  void on_ready(std::uint32_t what) override {
    if ((what & EPOLLOUT) != 0) flush();
    if ((what & EPOLLIN) == 0) return;
    const ssize_t length = pipe_.read(scratch.data(), scratch.size());
    if (length < 0) die("the publisher's connection is gone");
    const std::string_view bytes(scratch.data(), static_cast<std::size_t>(length));
    if (bytes.starts_with('-')) die("Redis: " + std::string(bytes.substr(0, bytes.find('\r'))));
  }

  const Poller& poller_;
  const Options& options_;
  Pipe pipe_;
  std::string out_;
};

// How many commands that read logs Redis has executed for all clients.
inline std::uint64_t log_reads(const Address& redis) {
  const Poller poller;
  class Question : public Handler {
   public:
    Pipe pipe;
    std::string text;
    void on_ready(std::uint32_t /*what*/) override {
      const ssize_t length = pipe.read(scratch.data(), scratch.size());
      if (length < 0) die("Redis does not answer INFO");
      text.append(scratch.data(), static_cast<std::size_t>(length));
    }
  } question;
  if (!question.pipe.connect(redis, 0, false)) die_of_errno("redis");
  std::string command;
  append_command(command, {"INFO", "commandstats"});
  if (question.pipe.write(command) != static_cast<ssize_t>(command.size())) die("cannot send INFO to Redis");
  poller.watch(question.pipe.fd(), EPOLLIN, question, true);
  RedisReply reply;
  std::size_t length = 0;
  for (const std::int64_t late = now_ns() + 5 * kSecond; !ReplyParser::parse(question.text, reply, length);) {
    if (now_ns() > late) die("Redis does not answer INFO");
    poller.turn(late);
  }
  std::uint64_t sum = 0;
  for (const std::string name : {"xread", "xrange", "xrevrange", "xinfo|stream"}) {
    const std::string key = "cmdstat_" + name + ":calls=";
    const auto at = question.text.find(key);
    if (at != std::string::npos) sum += std::strtoull(question.text.c_str() + at + key.size(), nullptr, 10);
  }
  return sum;
}

}  // namespace tailgate::bench
