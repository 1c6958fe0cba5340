// HttpAnswer: what an HTTP server says to a GET of ours, and the text of that GET.
//
// Pure.  Bytes in, an answer out; knows no socket.  We ask in HTTP/1.0, so an answer has no
// chunks: it ends with its Content-Length or with the connection, and one that ends early is an error.
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

// The request's bytes.  Refuses a path, host, name or value that would put another line or another word
// into them.
Result<std::string> http_get(std::string_view path, std::string_view authority, const HttpHeaders& headers);

struct HttpAnswer {
  int status = 0;
  HttpHeaders headers;  // names in lower case
  std::string body;

  // The first one called `name` (lower case), or null.
  const std::string* header(std::string_view name) const;
};

class HttpAnswerReader {
 public:
  explicit HttpAnswerReader(std::size_t max_body_bytes) : max_body_bytes_(max_body_bytes) {}

  enum class State { kMore, kDone, kBroken };
  // The next bytes of the connection.
  State feed(std::string_view bytes);
  // The connection has ended.
  State end();

  // Precondition: kDone.
  HttpAnswer take() { return std::move(answer_); }
  // What is wrong.  Precondition: kBroken.
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
