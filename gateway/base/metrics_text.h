// MetricsText: writes metrics as the text that Prometheus reads (exposition format 0.0.4).
//
// Pure.  Each class writes its own metrics.  Label values come from the configuration or the code, never from
// a request, so their number is bounded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tailgate {

class MetricsText {
 public:
  enum class Type { kCounter, kGauge, kHistogram };

  // Begins a metric with its type and help.  The samples that follow belong to this metric.
  void begin(std::string_view name, Type type, std::string_view help);
  // `labels` is empty, or holds results of label() joined by commas.
  // `suffix` follows the metric's name; a histogram has _bucket, _sum and _count.
  void sample(std::string_view labels, std::uint64_t value, std::string_view suffix = {});
  void sample(std::string_view labels, double value, std::string_view suffix);
  // A metric with one sample and no label.
  void counter(std::string_view name, std::string_view help, std::uint64_t value);
  void gauge(std::string_view name, std::string_view help, std::uint64_t value);

  // name="value", escaped.
  static std::string label(std::string_view name, std::string_view value);

  const std::string& text() const { return text_; }

 private:
  void write_sample(std::string_view labels, std::string_view value, std::string_view suffix);

  std::string name_;
  std::string text_;
};

}  // namespace tailgate
