#include "gateway/base/metrics_text.h"

namespace tailgate {

void MetricsText::begin(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  text_ += "# HELP " + name_ + ' ';
  text_ += help;
  text_ += "\n# TYPE " + name_ + (type == Type::kCounter ? " counter\n" : " gauge\n");
}

void MetricsText::sample(std::string_view labels, std::uint64_t value) {
  text_ += name_;
  if (!labels.empty()) {
    text_ += '{';
    text_ += labels;
    text_ += '}';
  }
  text_ += ' ' + std::to_string(value) + '\n';
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
