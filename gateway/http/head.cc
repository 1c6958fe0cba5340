#include "gateway/http/head.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "gateway/http/status.h"
#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

using State = HeadCheck::State;

// Methods whose body evhttp reads.  evhttp would read the body of another method as the next request.
constexpr std::array<std::string_view, 6> kMayHaveBody = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
// evhttp accepts no shorter request line.
constexpr std::size_t kShortestLine = std::string_view("GET / HTTP/1.0").size();

bool is_version(std::string_view text) {
  return text.size() == 8 && text.starts_with("HTTP/") && text[5] >= '0' && text[5] <= '9' &&
         text[6] == '.' && text[7] >= '0' && text[7] <= '9';
}

HeadCheck refused(int status, std::string_view sentence) {
  return {.state = State::kRefused, .target = {}, .status = status, .sentence = sentence};
}

class HeadChecker {
 public:
  std::optional<HeadCheck> request_line(std::string_view line) {
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last || line.find(' ', first + 1) != last ||
        has_control(line))
      return refused(400, "The request line is not a method, an address and a version");
    method_ = line.substr(0, first);
    target_ = line.substr(first + 1, last - first - 1);
    const std::string_view version = line.substr(last + 1);
    if (!is_token(method_) || target_.empty() || !is_version(version))
      return refused(400, "The request line is not a method, an address and a version");
    if (version != "HTTP/1.1" && version != "HTTP/1.0")
      return refused(505, "Only HTTP 1.1 and HTTP 1.0 are spoken here");
    if (method_ == "CONNECT") return refused(501, "This is not a proxy");
    if (line.size() < kShortestLine) return refused(501, "No such method is known here");
    is_1_1_ = version == "HTTP/1.1";
    return std::nullopt;
  }

  std::optional<HeadCheck> field(std::string_view line) {
    const std::size_t colon = line.find(':');
    // A folded line begins with white space, so its name is not a token.
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
      return refused(400, "A header line is not a name, a colon and a value");
    if (++fields_ > kMostHeadFields) return refused(431, "The header has too many lines");
    const std::string name = ascii_lower(line.substr(0, colon));
    const std::string_view value = trim(line.substr(colon + 1));
    if (name == "host") {
      ++hosts_;
    } else if (name == "transfer-encoding") {
      has_transfer_encoding_ = true;
    } else if (name == "content-length") {
      if (length_) return refused(400, "The header names more than one Content-Length");
      std::size_t length = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
      if (end != value.data() + value.size() || error == std::errc::invalid_argument)
        return refused(400, "Content-Length is not a whole number");
      if (error != std::errc() || length > kMostBodyBytes) return refused(413, "The body is too large");
      length_ = length;
    } else if (name == "expect" && ascii_lower(value) != "100-continue") {
      return refused(417, "Only 100-continue can be expected here");
    }
    return std::nullopt;
  }

  HeadCheck end() const {
    if (hosts_ > 1 || (is_1_1_ && hosts_ == 0)) return refused(400, "The header must name one Host");
    if (has_transfer_encoding_ && (length_ || !is_1_1_))
      return refused(400, "The header says in two ways where the body ends");
    if (has_transfer_encoding_)
      return refused(411, "A body here needs a Content-Length and no Transfer-Encoding");
    if (length_.value_or(0) > 0 &&
        std::find(kMayHaveBody.begin(), kMayHaveBody.end(), method_) == kMayHaveBody.end())
      return refused(400, "A request of this method has no body here");
    return {.state = State::kGood, .target = target_, .status = 0, .sentence = {}};
  }

 private:
  std::string_view method_;
  std::string_view target_;
  bool is_1_1_ = false;
  std::size_t fields_ = 0;
  std::size_t hosts_ = 0;
  std::optional<std::size_t> length_;
  bool has_transfer_encoding_ = false;
};

}  // namespace

HeadCheck check_head(std::string_view bytes) {
  HeadChecker checker;
  std::size_t at = 0;
  for (bool first = true;; first = false) {
    const std::size_t line_feed = bytes.find('\n', at);
    if (std::min(line_feed, bytes.size()) > kMostHeadBytes) {
      return first ? refused(414, "The request line is too long") : refused(431, "The header is too large");
    }
    if (line_feed == std::string_view::npos) {
      // Refuses bytes that can never become a request, such as a TLS ClientHello.
      if (first && !bytes.empty() && !is_token(bytes.substr(0, 1)))
        return refused(400, "The request line is not a method, an address and a version");
      return {};
    }
    std::string_view line = bytes.substr(at, line_feed - at);
    at = line_feed + 1;
    if (!line.ends_with('\r')) return refused(400, "A line of the head does not end in CR LF");
    line.remove_suffix(1);
    // A header's value may hold control characters other than CR, LF and NUL: nginx passes them on, and they
    // are harmless inside a value (RFC 9110, section 5.5).
    if (line.find_first_of(std::string_view("\r\0", 2)) != std::string_view::npos)
      return refused(400, "The head has a stray CR or a NUL");
    if (!first && line.empty()) return checker.end();
    if (auto wrong = first ? checker.request_line(line) : checker.field(line)) return *wrong;
  }
}

std::string refusal_answer(int status, std::string_view sentence) {
  const std::string body = json_object({{"detail", json_quote(sentence)}});
  std::string answer = "HTTP/1.1 " + std::to_string(status) + ' ';
  answer += reason_phrase(status);
  answer += "\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: ";
  answer += std::to_string(body.size());
  answer += "\r\nConnection: close\r\n\r\n";
  return answer + body;
}

}  // namespace tailgate
