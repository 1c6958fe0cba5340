#include "gateway/http/answer.h"

#include <algorithm>
#include <charconv>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::size_t kMaxHeadBytes = 16384;

bool is_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != 0x7F); });
}

}  // namespace

Result<std::string> http_get(std::string_view path, std::string_view authority, const HttpHeaders& headers) {
  if (!path.starts_with('/') || !is_visible_ascii(path))
    return Error{"the path cannot stand in a request line"};
  if (!is_visible_ascii(authority)) return Error{"the host cannot stand in a header"};
  std::string text = "GET ";
  text += path;
  text += " HTTP/1.0\r\nHost: ";
  text += authority;
  text += "\r\nConnection: close\r\n";
  for (const auto& [name, value] : headers) {
    if (!is_token(name)) return Error{"a header's name is none"};
    if (!is_value(value)) return Error{"the value of the header " + name + " holds a control character"};
    text += name;
    text += ": ";
    text += value;
    text += "\r\n";
  }
  return text + "\r\n";
}

const std::string* HttpAnswer::header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (known == name) return &value;
  }
  return nullptr;
}

HttpAnswerReader::State HttpAnswerReader::broken(std::string why) {
  error_ = std::move(why);
  return state_ = State::kBroken;
}

HttpAnswerReader::State HttpAnswerReader::feed(std::string_view bytes) {
  if (state_ != State::kMore) return state_;
  if (!in_body_) {
    // Searches from three bytes before the new bytes, because the empty line may arrive in two calls.
    const std::size_t from = head_.size() < 3 ? 0 : head_.size() - 3;
    head_ += bytes;
    const std::size_t end = head_.find("\r\n\r\n", from);
    if (std::min(end, head_.size()) > kMaxHeadBytes)
      return broken("the answer's headers are larger than 16 KB");
    if (end == std::string::npos) return state_;
    if (!read_head(std::string_view(head_).substr(0, end))) return state_;
    in_body_ = true;
    answer_.body = head_.substr(end + 4);
    head_.clear();
  } else {
    answer_.body += bytes;
  }
  return check_body();
}

HttpAnswerReader::State HttpAnswerReader::check_body() {
  if (length_ && answer_.body.size() >= *length_) {
    answer_.body.resize(*length_);
    return state_ = State::kDone;
  }
  if (answer_.body.size() > max_body_bytes_) {
    return broken("the answer is larger than " + std::to_string(max_body_bytes_) + " bytes");
  }
  return state_;
}

HttpAnswerReader::State HttpAnswerReader::end() {
  if (state_ != State::kMore) return state_;
  if (!in_body_)
    return broken(head_.empty() ? "the connection was closed without an answer" : "the answer is cut off");
  if (length_) return broken("the answer is cut off");
  return state_ = State::kDone;
}

bool HttpAnswerReader::read_head(std::string_view head) {
  bool first = true;
  while (!head.empty()) {
    const std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
    if (!(first ? read_status_line(line) : read_header(line))) {
      if (state_ != State::kBroken) broken("the answer is not HTTP");
      return false;
    }
    first = false;
  }
  if (first) broken("the answer is not HTTP");
  return !first;
}

// "HTTP/1.1 200 OK"
bool HttpAnswerReader::read_status_line(std::string_view line) {
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ') return false;
  if (line.size() > 12 && line[12] != ' ') return false;
  const char* digits = line.data() + 9;
  const auto [stop, failed] = std::from_chars(digits, digits + 3, answer_.status);
  return failed == std::errc() && stop == digits + 3 && answer_.status >= 200 && answer_.status <= 599;
}

bool HttpAnswerReader::read_header(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return false;
  const std::string name = ascii_lower(line.substr(0, colon));
  const std::string_view value = trim(line.substr(colon + 1));
  if (!is_value(value)) return false;
  if (name == "transfer-encoding") {
    broken("the answer has a Transfer-Encoding, which HTTP/1.0 does not know");
    return false;
  }
  if (name == "content-length") {
    std::uint64_t length = 0;
    const auto [stop, failed] = std::from_chars(value.data(), value.data() + value.size(), length);
    if (failed != std::errc() || stop != value.data() + value.size()) return false;
    if (length_ && *length_ != length) return false;
    if (length > max_body_bytes_) {
      broken("the answer is larger than " + std::to_string(max_body_bytes_) + " bytes");
      return false;
    }
    length_ = length;
  }
  answer_.headers.emplace_back(name, value);
  return true;
}

}  // namespace tailgate
