// HttpAnswer: the text of a GET that the gateway sends, and the server's answer.
//
// Pure.  Knows no socket: bytes go in, an answer comes out.  The GET is in HTTP/1.0, so an answer has no
// chunks.  An answer ends after Content-Length bytes or with the connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/result.h"

namespace tailgate {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// The bytes of a GET.  An error if an argument holds a character that HTTP forbids there.
Result<std::string> http_get(std::string_view path, std::string_view authority, const HttpHeaders& headers);

struct HttpAnswer {
  int status = 0;
  HttpHeaders headers;  // names in lower case
  std::string body;

  // The value of the first header called `name` (lower case), or null.
  const std::string* header(std::string_view name) const;
};

class HttpAnswerReader {
 public:
  explicit HttpAnswerReader(std::size_t max_body_bytes) : max_body_bytes_(max_body_bytes) {}

  enum class State { kMore, kDone, kBroken };
  // Takes the next bytes from the connection.
  State feed(std::string_view bytes);
  // Call this when the connection has ended.  An answer that is still incomplete is broken.
  State end();

  // Precondition: kDone.
  HttpAnswer take() { return std::move(answer_); }
  // Precondition: kBroken.
  const std::string& error() const { return error_; }

 private:
  State broken(std::string why);
  bool read_head(std::string_view head);
  bool read_status_line(std::string_view line);
  bool read_header(std::string_view line);
  State check_body();

  std::size_t max_body_bytes_;
  State state_ = State::kMore;
  bool in_body_ = false;
  std::string head_;
  std::optional<std::uint64_t> length_;
  HttpAnswer answer_;
  std::string error_;
};

}  // namespace tailgate
