#include "gateway/base/metrics_text.h"

namespace tailgate {

void MetricsText::begin(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  text_ += "# HELP " + name_ + ' ';
  text_ += help;
  text_ += "\n# TYPE " + name_;
  text_ += type == Type::kCounter ? " counter\n" : type == Type::kGauge ? " gauge\n" : " histogram\n";
}

void MetricsText::sample(std::string_view labels, std::uint64_t value, std::string_view suffix) {
  write_sample(labels, std::to_string(value), suffix);
}

void MetricsText::sample(std::string_view labels, double value, std::string_view suffix) {
  write_sample(labels, std::to_string(value), suffix);
}

void MetricsText::write_sample(std::string_view labels, std::string_view value, std::string_view suffix) {
  text_ += name_;
  text_ += suffix;
  if (!labels.empty()) {
    text_ += '{';
    text_ += labels;
    text_ += '}';
  }
  text_ += ' ';
  text_ += value;
  text_ += '\n';
}

void MetricsText::counter(std::string_view name, std::string_view help, std::uint64_t value) {
  begin(name, Type::kCounter, help);
  sample({}, value);
}

void MetricsText::gauge(std::string_view name, std::string_view help, std::uint64_t value) {
  begin(name, Type::kGauge, help);
  sample({}, value);
}

std::string MetricsText::label(std::string_view name, std::string_view value) {
  std::string label(name);
  label += "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') label += '\\';
    if (c == '\n') {
      label += "\\n";
    } else {
      label += c;
    }
  }
  return label + '"';
}

}  // namespace tailgate
