// Fleet: opens streams and checks that each receives every message of its topic once and in order.
#pragma once

#include <sys/epoll.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/bench/address.h"
#include "tests/bench/connection.h"
#include "tests/bench/histogram.h"
#include "tests/bench/load_options.h"
#include "tests/bench/process_cost.h"
#include "tests/bench/publisher.h"
#include "tests/bench/report.h"
#include "tests/bench/sse_reader.h"

namespace tailgate::bench {

class Fleet;

class Client : private Handler {
 public:
  Client(Fleet& fleet, std::size_t index) : fleet_(fleet), index_(index) {}
  bool open();
  void cut() { pipe_.close(); }

 private:
  void on_ready(std::uint32_t what) override;
  void write();
  void read();
  void on_line(std::string_view line, std::int64_t now);

  Fleet& fleet_;
  std::size_t index_;
  Pipe pipe_;
  SseReader reader_;
  std::unique_ptr<std::string> request_;
  std::int64_t began_ = 0;
  std::size_t seen_ = 0;  // how many messages have arrived
  std::string last_id_;
  std::string id_;  // the id of the block that is arriving
  bool opened_ = false;
};

// All streams, and the counts of what they received.
class Fleet {
 public:
  explicit Fleet(const Options& options) : options_(options) {
    for (std::size_t i = 0; i < options.streams; ++i) clients_.push_back(std::make_unique<Client>(*this, i));
  }

  // Opens all streams.  Returns when each has received its first byte.
  void open() {
    opened_ = begun_ = 0;
    std::int64_t late = now_ns() + patience();
    std::size_t opened = 0;
    while (opened_ < clients_.size()) {
      if (std::exchange(opened, opened_) != opened_) late = now_ns() + patience();
      while (begun_ < clients_.size() && begun_ - opened_ < options_.opening && clients_[begun_]->open())
        ++begun_;
      poller_.turn(now_ns() + kSecond / 100);
      if (now_ns() > late) die("only " + std::to_string(opened_) + " streams opened");
    }
  }
  void cut() {
    for (const auto& client : clients_) client->cut();
  }
  void idle(double seconds) {
    const std::int64_t end = now_ns() + static_cast<std::int64_t>(seconds * kSecond);
    while (now_ns() < end) poller_.turn(end);
  }

  void publish(Publisher& publisher, std::int64_t due) {
    // The first `streams % topics` topics have one stream more than the others.
    const std::size_t topic = published_ % options_.topics;
    const std::size_t receivers =
        options_.streams / options_.topics + (topic < options_.streams % options_.topics ? 1 : 0);
    awaited_.push_back(static_cast<std::uint32_t>(receivers));
    expected_ += receivers;
    if (receivers > 0) ++under_way_;
    publisher.publish(published_++, due);
  }
  // Publishes `count` messages, at this rate or with this window, and waits until all have arrived.
  void run(Publisher& publisher, std::size_t count, double rate, std::size_t window) {
    const std::int64_t began = now_ns();
    std::int64_t progressed = began;
    std::uint64_t received = received_;
    std::size_t sent = 0;
    while (sent < count || under_way_ > 0) {
      const std::int64_t now = now_ns();
      std::int64_t next = now + kSecond / 10;
      bool any = false;
      while (sent < count) {
        const std::int64_t due =
            rate > 0 ? began + static_cast<std::int64_t>(static_cast<double>(sent) / rate * kSecond) : now;
        if (due > now) {
          next = std::min(next, due);
          break;
        }
        if (window > 0 && under_way_ >= window) break;
        publish(publisher, due);
        ++sent;
        any = true;
      }
      if (any) publisher.flush();
      poller_.turn(next);
      if (received_ != received || any) {
        received = received_;
        progressed = now_ns();
      } else if (now_ns() - progressed > patience()) {
        return;  // report() finds the missing messages
      }
    }
  }
  void forget_measures() {
    latencies_ = {};
    reads_ = 0;
    beats_ = 0;
  }

  // Returns true if every message arrived once and in order, and no stream was lost.
  bool report(Report& report) const {
    report.add("messages", published_);
    report.add("expected", expected_);
    report.add("received", received_);
    report.add("wrong", wrong_);
    report.add("lost_streams", lost_);
    return wrong_ == 0 && lost_ == 0 && received_ == expected_;
  }

  const Poller& poller() const { return poller_; }
  const Histogram& latencies() const { return latencies_; }
  const Histogram& openings() const { return openings_; }
  std::uint64_t reads() const { return reads_; }
  std::uint64_t beats() const { return beats_; }
  std::uint64_t received() const { return received_; }

 private:
  friend class Client;
  std::int64_t patience() const { return static_cast<std::int64_t>(options_.patience_s * kSecond); }
  void on_message(std::size_t stream, std::size_t& seen, std::size_t message, std::int64_t due,
                  std::int64_t now) {
    const std::size_t wanted = stream % options_.topics + seen * options_.topics;
    if (message != wanted || message >= awaited_.size() || awaited_[message] == 0) {
      ++wrong_;
      return;
    }
    ++seen;
    ++received_;
    latencies_.add(static_cast<std::uint64_t>(std::max<std::int64_t>(now - due, 0)));
    if (--awaited_[message] == 0) --under_way_;
  }

  const Options& options_;
  Poller poller_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::uint32_t> awaited_;  // for each message, how many streams still wait for it
  Histogram latencies_;
  Histogram openings_;
  std::size_t begun_ = 0;
  std::size_t opened_ = 0;
  std::size_t published_ = 0;
  std::size_t under_way_ = 0;
  std::uint64_t expected_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t wrong_ = 0;  // messages that were duplicated, out of order or never sent
  std::uint64_t lost_ = 0;   // streams that the server ended
  std::uint64_t reads_ = 0;  // reads that brought bytes
  std::uint64_t beats_ = 0;
};

inline bool Client::open() {
  const Options& options = fleet_.options_;
  const std::size_t topic = index_ % options.topics;
  reader_ = {};
  opened_ = false;
  began_ = now_ns();
  if (!pipe_.connect(options.to[topic % options.to.size()], static_cast<unsigned>(index_ / 20000),
                     options.tls))
    return false;
  request_ = std::make_unique<std::string>("GET " + filled(options.path, topic) + " HTTP/1.1\r\nHost: " +
                                           options.host + "\r\nAccept: text/event-stream\r\n");
  if (!options.headers.empty()) *request_ += options.headers[topic % options.headers.size()];
  if (!last_id_.empty()) *request_ += "Last-Event-ID: " + last_id_ + "\r\n";
  *request_ += "\r\n";
  fleet_.poller_.watch(pipe_.fd(), EPOLLIN | EPOLLOUT, *this, true);
  return true;
}

inline void Client::on_ready(std::uint32_t what) {
  if (request_ && pipe_.fd() >= 0) write();
  if (pipe_.fd() >= 0 && (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read();
}

inline void Client::write() {
  const ssize_t sent = pipe_.write(*request_);
  if (sent < 0) die("a stream's request could not be sent");
  request_->erase(0, static_cast<std::size_t>(sent));
  if (!request_->empty()) return;
  request_.reset();
  fleet_.poller_.watch(pipe_.fd(), EPOLLIN, *this, false);
}

inline void Client::read() {
  ssize_t length = 0;
  do {
    length = pipe_.read(scratch.data(), scratch.size());
    if (length < 0 || reader_.ended()) {
      if (!opened_)
        die("a stream ended before its first byte (status " + std::to_string(reader_.status()) + ")");
      ++fleet_.lost_;
      pipe_.close();
      return;
    }
    if (length == 0) return;
    ++fleet_.reads_;
    const std::int64_t now = now_ns();
    const bool is_http = reader_.feed({scratch.data(), static_cast<std::size_t>(length)},
                                      [&](std::string_view line) { on_line(line, now); });
    if (!is_http) die("an answer that is not HTTP");
    if (reader_.in_body() && reader_.status() != 200)
      die("a stream was answered " + std::to_string(reader_.status()));
    if (!opened_ && reader_.body_bytes() > 0) {
      opened_ = true;
      ++fleet_.opened_;
      fleet_.openings_.add(static_cast<std::uint64_t>(now - began_));
    }
  } while (pipe_.is_tls() || static_cast<std::size_t>(length) == scratch.size());
}

inline void Client::on_line(std::string_view line, std::int64_t now) {
  if (line.starts_with("data:")) {
    const auto at = line.find('@');
    if (at != std::string_view::npos && line.size() - at >= kMarkLength) {
      const char* mark = line.data() + at;
      fleet_.on_message(index_, seen_, digits<std::size_t>(mark + kNumberAt, 10),
                        digits<std::int64_t>(mark + kTimeAt, 19), now);
      if (!id_.empty()) last_id_ = id_;
    }
  } else if (line.starts_with("id: ")) {
    id_ = line.substr(4);
  } else if (line.starts_with(":") || line.starts_with("event: heartbeat")) {
    ++fleet_.beats_;
  } else if (line.starts_with("event: gap")) {
    ++fleet_.wrong_;
  }
}

}  // namespace tailgate::bench
