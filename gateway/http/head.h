// HttpHead: checks the head of a request before evhttp parses it.
//
// Pure.  Stricter than evhttp, so that a proxy, evhttp and this check agree on where a request ends (RFC
// 9112, section 11.2): each line ends in CR LF, no folded lines, no white space before a colon, at most one
// Content-Length, no Transfer-Encoding.  evhttp accepts every head that passes, unless its target cannot be
// parsed; HttpConnection refuses such a target.  So Tailgate writes every refusal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tailgate {

// nginx accepts larger heads (large_client_header_buffers in nginx.conf.in), so that Tailgate refuses a large
// head, and not nginx.  If nginx refuses a header line, it ends all HTTP/2 streams of the connection.
constexpr std::size_t kMostHeadBytes = 48 * 1024;
constexpr std::size_t kMostHeadFields = 200;
constexpr std::size_t kMostBodyBytes = 1024;

struct HeadCheck {
  enum class State { kMore, kGood, kRefused };
  State state = State::kMore;
  std::string_view target;    // if good; a slice of the checked bytes
  int status = 0;             // if refused
  std::string_view sentence;  // if refused
};

// Checks a request from its first byte, as far as it has arrived.  Ignores bytes after the head.
HeadCheck check_head(std::string_view bytes);

// The whole response to a refused request, with "Connection: close".
std::string refusal_answer(int status, std::string_view sentence);

}  // namespace tailgate
