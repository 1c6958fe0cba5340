#include "gateway/http/head.h"

#include <gtest/gtest.h>

#include <string>

namespace tailgate {
namespace {

using namespace std::string_literals;
using State = HeadCheck::State;

// "more", "good <target>" or the refusal's status.
std::string judged(const std::string& bytes) {
  const HeadCheck check = check_head(bytes);
  switch (check.state) {
    case State::kMore:
      return "more";
    case State::kGood:
      return "good " + std::string(check.target);
    case State::kRefused:
      EXPECT_FALSE(check.sentence.empty());
      return std::to_string(check.status);
  }
  return "";
}

std::string with_line(const std::string& line) {
  return judged("GET /a HTTP/1.1\r\nHost: x\r\n" + line + "\r\n\r\n");
}

std::string posted_with(const std::string& lines) {
  return judged("POST /a HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n");
}

TEST(HttpHead, AcceptsARequestOnceItIsComplete) {
  const std::string head = "GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nX-Empty:\r\n\r\n";
  for (std::size_t length = 0; length < head.size(); ++length)
    EXPECT_EQ(judged(head.substr(0, length)), "more");
  EXPECT_EQ(judged(head), "good /a?b=c");
  EXPECT_EQ(judged(head + "\0\nanything"s), "good /a?b=c");
}

TEST(HttpHead, AcceptsUnknownMethodsAndRefusesConnect) {
  for (const char* method : {"PURGE", "PROPFIND", "get", "M-SEARCH", "TRACE", "HEAD"}) {
    EXPECT_EQ(judged(method + " /a HTTP/1.1\r\nHost: x\r\n\r\n"s), "good /a") << method;
  }
  std::string long_method(4000, 'A');
  EXPECT_EQ(judged(long_method.append(" /a HTTP/1.1\r\nHost: x\r\n\r\n")), "good /a");
  EXPECT_EQ(judged("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n"), "501");
  EXPECT_EQ(judged("A / HTTP/1.1\r\nHost: x\r\n\r\n"), "501");
}

TEST(HttpHead, RefusesAMalformedRequestLine) {
  for (const char* line :
       {"", "GET", "GET /a", "GET  /a HTTP/1.1", "GET /a  HTTP/1.1", "GET /a HTTP/1.1 ", " GET /a HTTP/1.1",
        "GET\t/a\tHTTP/1.1", "GET /a b HTTP/1.1", "G(T /a HTTP/1.1", "GET /a http/1.1", "GET /a HTTP/11",
        "GET /a HTTP/1.", "GET /a HTTP/1.1x", "GET /\x01 HTTP/1.1", "GET /\x7f HTTP/1.1"}) {
    EXPECT_EQ(judged(line + "\r\nHost: x\r\n\r\n"s), "400") << line;
  }
  EXPECT_EQ(judged("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"s), "400");
  for (const char* version : {"HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/9.9"}) {
    EXPECT_EQ(judged("GET /a "s + version + "\r\nHost: x\r\n\r\n"), "505") << version;
  }
}

TEST(HttpHead, RefusesAnInvalidFirstByteAtOnce) {
  EXPECT_EQ(judged("\x16\x03\x01"), "400");
  EXPECT_EQ(judged(" "), "400");
}

TEST(HttpHead, RefusesHeaderLinesThatParsersReadDifferently) {
  EXPECT_EQ(judged("GET /a HTTP/1.1\nHost: x\n\n"), "400");
  EXPECT_EQ(with_line("A: b\nC: d"), "400");
  EXPECT_EQ(with_line("A: b\rC: d"), "400");
  EXPECT_EQ(with_line("A: b\0"s), "400");
  EXPECT_EQ(with_line("A: b\r\n folded"), "400");
  EXPECT_EQ(with_line("A: b\r\n\tfolded"), "400");
  EXPECT_EQ(with_line("A : b"), "400");
  EXPECT_EQ(with_line(": b"), "400");
  EXPECT_EQ(with_line("no colon"), "400");
  EXPECT_EQ(with_line("A\x80: b"), "400");
  EXPECT_EQ(with_line("A: \x80\xff and\ta tab and \x01\x7f"), "good /a");
}

TEST(HttpHead, RefusesABodyOfAmbiguousLength) {
  EXPECT_EQ(posted_with("Content-Length: 5\r\n"), "good /a");
  EXPECT_EQ(posted_with("Content-Length: 5\r\nContent-Length: 5\r\n"), "400");
  EXPECT_EQ(posted_with("Content-Length: 5\r\ncontent-length: 6\r\n"), "400");
  for (const char* length : {"", "+5", "-1", "0x5", "5,5", "5 5", "5a", "1e1"}) {
    EXPECT_EQ(posted_with("Content-Length: "s + length + "\r\n"), "400") << length;
  }
  EXPECT_EQ(posted_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "400");
  EXPECT_EQ(posted_with("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), "400");
  for (const char* coding :
       {"chunked", "identity", "xchunked", "chunked, identity", "gzip, chunked", "", "\tchunked"}) {
    EXPECT_EQ(posted_with("Transfer-Encoding: "s + coding + "\r\n"), "411") << coding;
  }
  EXPECT_EQ(judged("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), "400");
  for (const char* method : {"HEAD", "TRACE", "PURGE", "post"}) {
    const std::string start = method + " /a HTTP/1.1\r\nHost: x\r\n"s;
    EXPECT_EQ(judged(start + "Content-Length: 5\r\n\r\n"), "400") << method;
    EXPECT_EQ(judged(start + "Content-Length: 0\r\n\r\n"), "good /a") << method;
  }
}

TEST(HttpHead, RequiresOneHost) {
  EXPECT_EQ(judged("GET /a HTTP/1.1\r\n\r\n"), "400");
  EXPECT_EQ(judged("GET /a HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"), "400");
  EXPECT_EQ(judged("GET /a HTTP/1.0\r\n\r\n"), "good /a");
  EXPECT_EQ(judged("GET /a HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), "400");
}

TEST(HttpHead, BoundsTheTargetTheHeadersAndTheBody) {
  const std::string start = "GET /a HTTP/1.1\r\nHost: x\r\n";
  EXPECT_EQ(judged("GET /" + std::string(kMostHeadBytes, 'a')), "414");
  EXPECT_EQ(judged("GET /" + std::string(kMostHeadBytes, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n"), "414");
  EXPECT_EQ(judged(start + "A: " + std::string(kMostHeadBytes, 'a')), "431");
  EXPECT_EQ(judged(start + "A: " + std::string(kMostHeadBytes, 'a') + "\r\n\r\n"), "431");
  const std::string fitting =
      start + "A: " + std::string(kMostHeadBytes - start.size() - 7, 'a') + "\r\n\r\n";
  ASSERT_EQ(fitting.size(), kMostHeadBytes);
  EXPECT_EQ(judged(fitting), "good /a");
  std::string many = start;
  for (std::size_t i = 1; i < kMostHeadFields; ++i) many += "A: b\r\n";
  EXPECT_EQ(judged(many + "\r\n"), "good /a");
  EXPECT_EQ(judged(many + "A: b\r\n"), "431");
  EXPECT_EQ(posted_with("Content-Length: " + std::to_string(kMostBodyBytes) + "\r\n"), "good /a");
  EXPECT_EQ(posted_with("Content-Length: " + std::to_string(kMostBodyBytes + 1) + "\r\n"), "413");
  EXPECT_EQ(posted_with("Content-Length: 99999999999999999999999\r\n"), "413");
}

TEST(HttpHead, RefusesExpectationsOtherThan100Continue) {
  EXPECT_EQ(posted_with("Content-Length: 5\r\nExpect: 100-Continue\r\n"), "good /a");
  EXPECT_EQ(posted_with("Content-Length: 5\r\nExpect: tea\r\n"), "417");
}

TEST(HttpHead, WritesRefusalsInJson) {
  EXPECT_EQ(refusal_answer(431, "Too much"),
            "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: "
            "application/json\r\nCache-Control: no-store\r\n"
            "Content-Length: 21\r\nConnection: close\r\n\r\n{\"detail\":\"Too much\"}");
}

}  // namespace
}  // namespace tailgate
