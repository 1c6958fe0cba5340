// A run of `load requests`: sends requests on kept-alive connections, and prints what the answers cost.
#pragma once

#include <sys/epoll.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/address.h"
#include "tests/bench/connection.h"
#include "tests/bench/histogram.h"
#include "tests/bench/load_options.h"
#include "tests/bench/process_cost.h"
#include "tests/bench/report.h"

namespace tailgate::bench {

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

// Returns the exit status.
inline int run_requests(const Options& options) {
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

}  // namespace tailgate::bench
