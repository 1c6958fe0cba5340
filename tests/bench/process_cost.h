// ProcessGroup: the CPU time and the memory of other processes, as the kernel counts them.
#pragma once

#include <time.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "tests/bench/address.h"

namespace tailgate::bench {

inline constexpr std::int64_t kSecond = 1'000'000'000;  // in nanoseconds

inline std::int64_t now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

// Processes that are counted together, for example nginx's master and workers.
class ProcessGroup {
 public:
  // "name=pid,pid"
  explicit ProcessGroup(const std::string& text) {
    const auto equals = text.find('=');
    if (equals == std::string::npos) die("--watch is name=pid,pid, not " + text);
    name_ = text.substr(0, equals);
    for (std::size_t at = equals + 1; at < text.size();) {
      const auto end = std::min(text.find(',', at), text.size());
      pids_.push_back(static_cast<pid_t>(number(text.substr(at, end - at))));
      at = end + 1;
    }
  }

  const std::string& name() const { return name_; }

  // The CPU time of all their threads, in nanoseconds.
  std::int64_t cpu_ns() const {
    std::int64_t sum = 0;
    for (const pid_t pid : pids_) {
      clockid_t clock{};
      timespec time{};
      if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
        die(name_ + " (process " + std::to_string(pid) + ") is gone");
      }
      sum += time.tv_sec * 1'000'000'000 + time.tv_nsec;
    }
    return sum;
  }

  // PSS: a page that n processes share counts 1/n.
  std::int64_t memory_bytes() const {
    std::int64_t sum = 0;
    for (const pid_t pid : pids_) {
      std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
      std::string word;
      while (file >> word) {
        std::int64_t kilobytes = 0;
        if (word == "Pss:" && file >> kilobytes) {
          sum += kilobytes * 1024;
          break;
        }
      }
    }
    return sum;
  }

 private:
  std::string name_;
  std::vector<pid_t> pids_;
};

}  // namespace tailgate::bench
