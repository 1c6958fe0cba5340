// Reads the options of the load generator from its command line.
#pragma once

#include <cstddef>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/bench/address.h"
#include "tests/bench/load_options.h"

namespace tailgate::bench {

// The headers of each topic.  A line of the file has the headers of one topic, separated by tabs.
inline std::vector<std::string> lines_of(const std::string& path) {
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

inline Options parse(int count, char** words) {
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

}  // namespace tailgate::bench
