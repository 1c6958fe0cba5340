// Metrics: what is counted, and the text in which Prometheus reads it.
//
// Pure.  Counters only grow; labels come from the configuration and from our own words, never
// from a request, so their number is bounded.  Exposition format 0.0.4.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "gateway/streams/end_reason.h"

namespace tailgate {

// What is counted for one route, by its name: it outlives a reload.
struct RouteMetrics {
  std::uint64_t open = 0;  // streams open now
  std::uint64_t opened = 0;
  std::uint64_t events = 0;   // delivered, summed over streams
  std::uint64_t bytes = 0;    // the same, as written by us
  std::uint64_t skipped = 0;  // payloads that were not what the route carries
  std::uint64_t gaps = 0;     // gap and resync events sent
  std::array<std::uint64_t, kEndReasonWords.size()> ended{};
  std::map<int, std::uint64_t> answered;  // by status, whatever did not become a stream
};

struct Metrics {
  std::map<std::string, RouteMetrics, std::less<>> routes;
  std::map<std::string, std::uint64_t, std::less<>> verdicts;  // of /auth, by their word
  std::uint64_t token_verifications = 0;                       // by /auth, not from its cache
  std::uint64_t reloads = 0;                                   // of the configuration
  std::uint64_t reloads_refused = 0;                           // of it or of the identity keys
  std::uint64_t not_found = 0;                                 // requests that matched no route

  RouteMetrics& route(std::string_view name);
};

// Writes one metric after another: each with its help, type and samples.
class MetricsText {
 public:
  enum class Type { kCounter, kGauge };
  void begin(std::string_view name, Type type, std::string_view help);
  // `labels` as {name="value",…} or empty; values are escaped by label().
  void sample(std::string_view labels, std::uint64_t value);
  // One more label onto `labels`.
  static void label(std::string& labels, std::string_view name, std::string_view value);

  const std::string& text() const { return text_; }

 private:
  std::string name_;
  std::string text_;
};

// All of `metrics`; the caller adds what it knows besides.
void append_metrics(MetricsText& out, const Metrics& metrics);

}  // namespace tailgate
