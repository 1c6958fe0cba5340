// The load generator: opens streams, publishes messages, measures when they arrive, and reads the CPU time
// and memory of the watched processes.  It has one thread and one epoll, and prints one JSON object.
//
//   load streams --to ADDRESS --path TEMPLATE --streams N --topics T [--publish ...] [--messages M --rate R]
//   load requests --to ADDRESS --path TEMPLATE --connections C --requests N
//
// Stream i follows topic i % T, and message k goes to topic k % T, so each stream knows its next message.
// If a message is missing, is duplicated or comes out of order, the exit status is 1.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "tests/bench/address.h"
#include "tests/bench/histogram.h"
#include "tests/bench/process_cost.h"
#include "tests/bench/resp.h"
#include "tests/bench/sse_reader.h"

namespace tailgate::bench {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

struct Options {
  std::vector<Address> to;
  std::string path;
  std::vector<std::string> headers;  // one entry for each topic, one for all topics, or none
  std::string host = "localhost";
  bool tls = false;
  std::size_t streams = 1;
  std::size_t topics = 1;
  std::size_t opening = 64;  // at most this many streams open at once
  std::optional<Address> publisher;
  std::optional<Address> redis;  // whose log reads are counted
  enum class Verb { kPublish, kLog, kPost } verb = Verb::kPublish;
  std::string topic = "bench:{}";
  std::size_t messages = 0;
  double rate = 0;
  std::size_t window = 0;
  std::size_t bytes = 200;
  double settle_s = 0.3;
  double idle_s = 0;
  double patience_s = 30;
  std::size_t storm = 0;  // after the messages: cut all streams, publish this many messages, open again
  std::size_t connections = 50;
  std::size_t requests = 0;
  int status = 200;
  std::string count;      // each answer must hold this text ...
  std::size_t times = 0;  // ... this many times
  std::vector<ProcessGroup> watched;
};

std::string filled(const std::string& form, std::size_t topic) {
  const auto at = form.find("{}");
  if (at == std::string::npos) return form;
  return form.substr(0, at) + std::to_string(topic) + form.substr(at + 2);
}

// ---- the report -------------------------------------------------------------------------------------

class Report {
 public:
  void add(const std::string& name, double value) {
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "%.9g", value);
    put(name, text.data());
  }
  template <std::integral T>
  void add(const std::string& name, T value) {
    put(name, std::to_string(value));
  }
  void add(const std::string& name, const Histogram& latencies) {
    add(name + "_p50_us", static_cast<double>(latencies.quantile(0.5)) / 1000);
    add(name + "_p99_us", static_cast<double>(latencies.quantile(0.99)) / 1000);
    add(name + "_max_us", static_cast<double>(latencies.greatest()) / 1000);
  }
  void print() const { std::printf("{%s}\n", text_.c_str()); }

 private:
  void put(const std::string& name, const std::string& value) {
    if (!text_.empty()) text_ += ", ";
    text_ += '"' + name + "\": " + value;
  }
  std::string text_;
};

// Measures the time and the watched processes' CPU time from its construction on.
class Stopwatch {
 public:
  explicit Stopwatch(const Options& options) : options_(options), began_(now_ns()) {
    for (const ProcessGroup& group : options.watched) cpu_.push_back(group.cpu_ns());
  }
  void report(Report& report, const std::string& phase) const {
    report.add(phase + "_s", static_cast<double>(now_ns() - began_) / kSecond);
    for (std::size_t i = 0; i < cpu_.size(); ++i) {
      const std::int64_t spent = options_.watched[i].cpu_ns() - cpu_[i];
      report.add(phase + "_cpu_" + options_.watched[i].name() + "_us", static_cast<double>(spent) / 1000);
    }
  }

 private:
  const Options& options_;
  std::int64_t began_;
  std::vector<std::int64_t> cpu_;
};

// ---- connections ------------------------------------------------------------------------------------

class Handler {
 public:
  virtual void on_ready(std::uint32_t what) = 0;

 protected:
  ~Handler() = default;
};

class Poller {
 public:
  Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {}
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller() { close(epoll_); }
  void watch(int fd, std::uint32_t what, Handler& handler, bool is_new) const {
    epoll_event event{};
    event.events = what;
    event.data.ptr = &handler;
    if (epoll_ctl(epoll_, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0) die_of_errno("epoll_ctl");
  }
  // Waits for events until `until` at the latest.
  void turn(std::int64_t until) const {
    std::array<epoll_event, 256> events{};
    const std::int64_t left = std::max<std::int64_t>(until - now_ns(), 0);
    const timespec timeout{left / kSecond, left % kSecond};
    const int count = epoll_pwait2(epoll_, events.data(), events.size(), &timeout, nullptr);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      static_cast<Handler*>(event.data.ptr)->on_ready(event.events);
    }
  }

 private:
  int epoll_;
};

SSL_CTX* tls_context() {
  static SSL_CTX* const context = [] {
    SSL_CTX* made = SSL_CTX_new(TLS_client_method());
    if (made == nullptr) die("cannot make a TLS context");
    // The end-to-end tests check certificates.
    SSL_CTX_set_verify(made, SSL_VERIFY_NONE, nullptr);
    SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS);
    return made;
  }();
  return context;
}

// A non-blocking connection, with TLS on request.
class Pipe {
 public:
  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() { close(); }

  bool connect(const Address& address, unsigned source, bool tls) {
    fd_ = address.connect(source);
    if (fd_ < 0) return false;
    if (tls) {
      tls_ = SSL_new(tls_context());
      SSL_set_fd(tls_, fd_);
      SSL_set_connect_state(tls_);
    }
    return true;
  }
  void close() {
    if (tls_ != nullptr) SSL_free(tls_);
    tls_ = nullptr;
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int fd() const { return fd_; }

  // Returns the number of bytes; 0 if the call would block; -1 if the connection has ended.
  ssize_t write(std::string_view bytes) {
    if (tls_ != nullptr) return tls_result(SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size())));
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    return errno == EAGAIN || errno == ENOTCONN ? 0 : -1;
  }
  ssize_t read(char* into, std::size_t size) {
    if (tls_ != nullptr) return tls_result(SSL_read(tls_, into, static_cast<int>(size)));
    const ssize_t got = recv(fd_, into, size, 0);
    if (got > 0) return got;
    return got < 0 && errno == EAGAIN ? 0 : -1;
  }
  bool is_tls() const { return tls_ != nullptr; }

 private:
  ssize_t tls_result(int result) {
    if (result > 0) return result;
    const int error = SSL_get_error(tls_, result);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
  }

  int fd_ = -1;
  SSL* tls_ = nullptr;
};

std::array<char, 1 << 18> scratch;

// ---- messages ---------------------------------------------------------------------------------------

// Each message carries its number and the time at which it was due: "@0000000012@0000001234567890123@xxx".
constexpr std::size_t kNumberAt = 1;
constexpr std::size_t kTimeAt = 12;
constexpr std::size_t kMarkLength = 32;

std::string marked(std::size_t message, std::int64_t due, std::size_t bytes) {
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
std::uint64_t log_reads(const Address& redis) {
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

// ---- streams ----------------------------------------------------------------------------------------

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

bool Client::open() {
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

void Client::on_ready(std::uint32_t what) {
  if (request_ && pipe_.fd() >= 0) write();
  if (pipe_.fd() >= 0 && (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read();
}

void Client::write() {
  const ssize_t sent = pipe_.write(*request_);
  if (sent < 0) die("a stream's request could not be sent");
  request_->erase(0, static_cast<std::size_t>(sent));
  if (!request_->empty()) return;
  request_.reset();
  fleet_.poller_.watch(pipe_.fd(), EPOLLIN, *this, false);
}

void Client::read() {
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

void Client::on_line(std::string_view line, std::int64_t now) {
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

int run_streams(const Options& options) {
  Report report;
  Fleet fleet(options);
  std::vector<std::int64_t> memory;
  for (const ProcessGroup& group : options.watched) memory.push_back(group.memory_bytes());
  {
    const Stopwatch watch(options);
    fleet.open();
    watch.report(report, "open");
    report.add("open", fleet.openings());
  }
  fleet.idle(options.settle_s);
  for (std::size_t i = 0; i < memory.size(); ++i) {
    report.add("memory_" + options.watched[i].name(), options.watched[i].memory_bytes() - memory[i]);
  }
  if (options.idle_s > 0) {
    fleet.forget_measures();
    const Stopwatch watch(options);
    fleet.idle(options.idle_s);
    watch.report(report, "idle");
    report.add("idle_beats", fleet.beats());
  }
  if (options.publisher) {
    Publisher publisher(fleet.poller(), options);
    // One message for each topic, unmeasured, so that buffers reach their size.
    fleet.run(publisher, options.topics, options.topics > 1 ? std::max(options.rate, 2000.0) : 0, 64);
    fleet.idle(options.settle_s);
    fleet.forget_measures();
    const std::uint64_t before = fleet.received();
    const std::uint64_t asked_before = options.redis ? log_reads(*options.redis) : 0;
    const Stopwatch watch(options);
    fleet.run(publisher, options.messages, options.rate, options.window);
    watch.report(report, "run");
    report.add("run_deliveries", fleet.received() - before);
    report.add("run_reads", fleet.reads());
    if (options.redis) report.add("run_log_reads", log_reads(*options.redis) - asked_before);
    report.add("run", fleet.latencies());
    if (options.storm > 0) {
      {
        const Stopwatch cut(options);
        fleet.cut();
        fleet.idle(4 * options.settle_s);
        cut.report(report, "cut");
      }
      for (std::size_t i = 0; i < options.storm; ++i) fleet.publish(publisher, now_ns());
      publisher.flush();
      fleet.idle(options.settle_s);
      fleet.forget_measures();
      const std::uint64_t missed_before = fleet.received();
      const Stopwatch back(options);
      fleet.open();
      fleet.run(publisher, 0, 0, 0);
      back.report(report, "back");
      report.add("back_deliveries", fleet.received() - missed_before);
    }
  }
  const bool is_right = fleet.report(report);
  report.print();
  if (!is_right) std::fprintf(stderr, "not all deliveries are right\n");
  return is_right ? 0 : 1;
}

// ---- requests ---------------------------------------------------------------------------------------

// A keep-alive connection with one request under way.
class Asker : private Handler {
 public:
  struct Shared {
    const Options& options;
    Poller poller;
    Histogram latencies;
    std::size_t begun = 0;
    std::size_t done = 0;
    std::size_t wrong = 0;
    std::uint64_t bytes = 0;
  };
  Asker(Shared& shared, std::size_t index) : shared_(shared), index_(index) {
    const Options& options = shared.options;
    const std::int64_t late = now_ns() + 5 * kSecond;  // the listener's backlog may be full
    while (!pipe_.connect(options.to[index % options.to.size()], 0, options.tls)) {
      if (now_ns() > late) die_of_errno("a connection for requests");
      usleep(1000);
    }
    shared.poller.watch(pipe_.fd(), EPOLLIN, *this, true);
  }
  void ask() {
    const Options& options = shared_.options;
    if (shared_.begun == options.requests) return;
    const std::size_t topic = shared_.begun++ % options.topics;
    std::string request =
        "GET " + filled(options.path, topic) + " HTTP/1.1\r\nHost: " + options.host + "\r\n";
    if (!options.headers.empty()) request += options.headers[topic % options.headers.size()];
    request += "\r\n";
    asked_ = now_ns();
    answer_.clear();
    if (pipe_.write(request) != static_cast<ssize_t>(request.size())) die("a request could not be sent");
  }

 private:
  void on_ready(std::uint32_t /*what*/) override {
    const ssize_t length = pipe_.read(scratch.data(), scratch.size());
    if (length < 0) die("a kept-alive connection was closed");
    answer_.append(scratch.data(), static_cast<std::size_t>(length));
    const auto head = answer_.find("\r\n\r\n");
    if (head == std::string::npos) return;
    std::size_t body = 0;
    const char* named = strcasestr(answer_.substr(0, head + 2).c_str(), "content-length:");
    if (named != nullptr) body = static_cast<std::size_t>(std::atol(named + 15));
    if (answer_.size() < head + 4 + body) return;
    finish(head + 4);
    ask();
  }
  void finish(std::size_t head) {
    const Options& options = shared_.options;
    ++shared_.done;
    shared_.bytes += answer_.size();
    shared_.latencies.add(static_cast<std::uint64_t>(now_ns() - asked_));
    std::size_t found = 0;
    if (!options.count.empty()) {
      for (auto at = answer_.find(options.count, head); at != std::string::npos;
           at = answer_.find(options.count, at + 1))
        ++found;
    }
    if (std::atoi(answer_.c_str() + 9) != options.status || found != options.times) ++shared_.wrong;
  }

  Shared& shared_;
  std::size_t index_;
  Pipe pipe_;
  std::string answer_;
  std::int64_t asked_ = 0;
};

int run_requests(const Options& options) {
  Asker::Shared shared{.options = options, .poller = {}, .latencies = {}};
  std::vector<std::unique_ptr<Asker>> askers;
  for (std::size_t i = 0; i < options.connections; ++i) askers.push_back(std::make_unique<Asker>(shared, i));
  const Stopwatch watch(options);
  for (const auto& asker : askers) asker->ask();
  const std::int64_t late = now_ns() + static_cast<std::int64_t>(options.patience_s * kSecond);
  while (shared.done < options.requests) {
    shared.poller.turn(late);
    if (now_ns() > late) break;
  }
  Report report;
  watch.report(report, "run");
  report.add("run", shared.latencies);
  report.add("requests", shared.done);
  report.add("wrong", shared.wrong);
  report.add("bytes", shared.bytes);
  report.print();
  const bool is_right = shared.done == options.requests && shared.wrong == 0;
  if (!is_right) std::fprintf(stderr, "not all answers are right\n");
  return is_right ? 0 : 1;
}

// ---- the command line -------------------------------------------------------------------------------

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  if (!file) die("cannot read " + path);
  for (std::string line; std::getline(file, line);) {
    std::string headers;
    for (const char each : line) each == '\t' ? headers += "\r\n" : headers += each;
    lines.push_back(headers.empty() ? "" : headers + "\r\n");
  }
  return lines;
}

Options parse(int count, char** words) {
  Options options;
  const auto real = [](const std::string& text) { return std::stod(text); };
  const std::map<std::string, std::function<void(const std::string&)>> known = {
      {"--to", [&](const auto& text) { options.to.emplace_back(text); }},
      {"--path", [&](const auto& text) { options.path = text; }},
      {"--headers", [&](const auto& text) { options.headers = lines_of(text); }},
      {"--host", [&](const auto& text) { options.host = text; }},
      {"--streams", [&](const auto& text) { options.streams = number(text); }},
      {"--topics", [&](const auto& text) { options.topics = number(text); }},
      {"--opening", [&](const auto& text) { options.opening = number(text); }},
      {"--publish", [&](const auto& text) { options.publisher.emplace(text); }},
      {"--verb",
       [&](const auto& text) {
         options.verb = text == "log"    ? Options::Verb::kLog
                        : text == "post" ? Options::Verb::kPost
                                         : Options::Verb::kPublish;
       }},
      {"--redis", [&](const auto& text) { options.redis.emplace(text); }},
      {"--topic", [&](const auto& text) { options.topic = text; }},
      {"--messages", [&](const auto& text) { options.messages = number(text); }},
      {"--rate", [&](const auto& text) { options.rate = real(text); }},
      {"--window", [&](const auto& text) { options.window = number(text); }},
      {"--bytes", [&](const auto& text) { options.bytes = number(text); }},
      {"--settle-s", [&](const auto& text) { options.settle_s = real(text); }},
      {"--idle-s", [&](const auto& text) { options.idle_s = real(text); }},
      {"--patience-s", [&](const auto& text) { options.patience_s = real(text); }},
      {"--storm", [&](const auto& text) { options.storm = number(text); }},
      {"--connections", [&](const auto& text) { options.connections = number(text); }},
      {"--requests", [&](const auto& text) { options.requests = number(text); }},
      {"--status", [&](const auto& text) { options.status = static_cast<int>(number(text)); }},
      {"--count", [&](const auto& text) { options.count = text; }},
      {"--times", [&](const auto& text) { options.times = number(text); }},
      {"--watch", [&](const auto& text) { options.watched.emplace_back(text); }},
  };
  for (int i = 2; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--tls") {
      options.tls = true;
      continue;
    }
    const auto found = known.find(word);
    if (found == known.end() || i + 1 == count) die("unknown option, or one without a value: " + word);
    found->second(words[++i]);
  }
  if (options.to.empty() || options.topics == 0) die("--to and --topics are needed");
  return options;
}

int run(int count, char** words) {
  const std::string_view mode = count > 1 ? words[1] : "";
  if (mode != "streams" && mode != "requests") die("load streams|requests ...: see the head of load.cpp");
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const Options options = parse(count, words);
  return mode == "streams" ? run_streams(options) : run_requests(options);
}

}  // namespace
}  // namespace tailgate::bench

int main(int count, char** words) {
  return tailgate::bench::run(count, words);
}
