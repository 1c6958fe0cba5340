// Options: what one run of the load generator does.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/address.h"
#include "tests/bench/process_cost.h"

namespace tailgate::bench {

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

// `form` with the number of the topic in place of "{}".
inline std::string filled(const std::string& form, std::size_t topic) {
  const auto at = form.find("{}");
  if (at == std::string::npos) return form;
  return form.substr(0, at) + std::to_string(topic) + form.substr(at + 2);
}

}  // namespace tailgate::bench
