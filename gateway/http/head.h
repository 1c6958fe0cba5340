// HttpHead: whether the head of a request may go to evhttp's parser.
//
// Pure.  Stricter than evhttp, so that a proxy, evhttp and this check agree on where a request ends (RFC
// 9112, section 11.2): each line ends in CR LF, no folded lines, no white space before a colon, at most one
// Content-Length, no Transfer-Encoding.  evhttp accepts every head that passes, so every refusal has our
// words.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tailgate {

// More than nginx lets through (four lines of 8 KB), plus the request line again in X-Tailgate-Uri, plus what
// nginx adds.  So nginx answers 431 to a larger head, and no sub-request of nginx fails because of its size.
constexpr std::size_t kMostHeadBytes = 48 * 1024;
constexpr std::size_t kMostHeadFields = 200;
constexpr std::size_t kMostBodyBytes = 1024;

struct HeadCheck {
  enum class State { kMore, kGood, kRefused };
  State state = State::kMore;
  std::string_view target;  // if good; a part of the bytes that were checked
  int status = 0;           // if refused, and the sentence too
  std::string_view sentence;
};

// Checks a request as far as it has come, from its first byte.  Ignores all after the head.
HeadCheck check_head(std::string_view bytes);

// The complete answer for a refusal.  The connection ends after it.
std::string refusal_answer(int status, std::string_view sentence);

}  // namespace tailgate
