// HttpHead: whether the head of a request may be handed to the HTTP parser.
//
// Pure.  Stricter than the parser behind it, so that no two readers of the same bytes (a proxy,
// evhttp, we) can disagree on where a request ends (RFC 9112, section 11.2): each line ends in CR LF, no
// folding, no white space before a colon, one length at most and no transfer coding.  What it lets pass
// evhttp takes, so that every refusal is in our words.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tailgate {

// Above what nginx lets through (four lines of 8 KB), the request line once more in X-Tailgate-Uri, and
// what nginx adds: too large a head is nginx's 431, never a failed sub-request.
constexpr std::size_t kMostHeadBytes = 48 * 1024;
constexpr std::size_t kMostHeadFields = 200;
constexpr std::size_t kMostBodyBytes = 1024;

struct HeadCheck {
  enum class State { kMore, kGood, kRefused };
  State state = State::kMore;
  std::string_view target;  // of a good one: a part of what was judged
  int status = 0;           // of a refused one
  std::string_view sentence;
};

// Judges what has come so far of a request, from its first byte on; what follows the head is not looked at.
HeadCheck check_head(std::string_view bytes);

// The whole answer that goes with a refusal, after which the connection ends.
std::string refusal_answer(int status, std::string_view sentence);

}  // namespace tailgate
