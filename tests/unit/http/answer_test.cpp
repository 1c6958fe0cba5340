#include "gateway/http/answer.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

using State = HttpAnswerReader::State;

constexpr std::size_t kMax = 1000;

// The whole answer as "200 body" or "broken: why".
std::string read(std::string_view bytes, std::size_t step = std::string_view::npos) {
  HttpAnswerReader reader(kMax);
  State state = State::kMore;
  for (std::size_t i = 0; i < bytes.size() && state == State::kMore; i += std::min(step, bytes.size())) {
    state = reader.feed(bytes.substr(i, step));
  }
  if (state == State::kMore) state = reader.end();
  if (state == State::kBroken) return "broken: " + reader.error();
  const HttpAnswer answer = reader.take();
  return std::to_string(answer.status) + ' ' + answer.body;
}

TEST(HttpAnswer, EndsWithTheConnection) {
  EXPECT_EQ(read("HTTP/1.0 200 OK\r\nX: y\r\n\r\nbody"), "200 body");
}

TEST(HttpAnswer, EndsAfterItsContentLengthAndIgnoresLaterBytes) {
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodymore"), "200 body");
  EXPECT_EQ(read("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"), "404 ");
  EXPECT_EQ(read("HTTP/1.1 204\r\n\r\n"), "204 ");
}

TEST(HttpAnswer, IsReadTheSameInPiecesOfAnySize) {
  const std::string_view bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX-A:  b \r\n\r\n\r\n\r\n123456";
  for (std::size_t step = 1; step < bytes.size(); ++step)
    EXPECT_EQ(read(bytes, step), "200 \r\n\r\n123456") << step;
}

TEST(HttpAnswer, KeepsItsHeaders) {
  HttpAnswerReader reader(kMax);
  ASSERT_EQ(reader.feed("HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"),
            State::kDone);
  const HttpAnswer answer = reader.take();
  ASSERT_NE(answer.header("retry-after"), nullptr);
  EXPECT_EQ(*answer.header("retry-after"), "7");
  EXPECT_EQ(answer.header("x"), nullptr);
}

TEST(HttpAnswer, IsRefusedIfItIsCutOff) {
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody"), "broken: the answer is cut off");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Len"), "broken: the answer is cut off");
  EXPECT_EQ(read(""), "broken: the connection was closed without an answer");
}

TEST(HttpAnswer, IsRefusedIfItIsTooLarge) {
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\n\r\n" + std::string(kMax, 'x')), "200 " + std::string(kMax, 'x'));
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\n\r\n" + std::string(kMax + 1, 'x')),
            "broken: the answer is larger than 1000 bytes");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"),
            "broken: the answer is larger than 1000 bytes");
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nX: " + std::string(20000, 'x')),
            "broken: the answer's headers are larger than 16 KB");
}

TEST(HttpAnswer, IsRefusedIfItIsNotHttp) {
  for (const std::string_view bytes :
       {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 X\r\n\r\n", "HTTP/1.1 +20 OK\r\n\r\n", "HTTP/1.1 101 Switching\r\n\r\n", "\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\nb\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"}) {
    EXPECT_EQ(read(bytes), "broken: the answer is not HTTP") << bytes;
  }
  EXPECT_NE(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").find("Transfer-Encoding"),
            std::string::npos);
}

TEST(HttpGet, WritesARequestOfHttp10) {
  EXPECT_EQ(*http_get("/a?b=c", "localhost", {{"X-Session-Id", "s 1"}}),
            "GET /a?b=c HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\nX-Session-Id: s 1\r\n\r\n");
}

TEST(HttpGet, RefusesValuesThatWouldInjectALine) {
  const std::string nul = std::string("a") + '\0';
  for (const std::string& bad : {std::string("a\r\nX: y"), std::string("a\nb"), std::string("a\rb"), nul}) {
    EXPECT_FALSE(http_get("/" + bad, "h", {})) << bad;
    EXPECT_FALSE(http_get("/", bad, {})) << bad;
    EXPECT_FALSE(http_get("/", "h", {{"X", bad}})) << bad;
    EXPECT_FALSE(http_get("/", "h", {{bad, "x"}})) << bad;
  }
  EXPECT_FALSE(http_get("/a b", "h", {}));
  EXPECT_FALSE(http_get("x", "h", {}));
  EXPECT_FALSE(http_get("", "h", {}));
  EXPECT_FALSE(http_get("/", "", {}));
  EXPECT_FALSE(http_get("/", "h", {{"", "x"}}));
  EXPECT_FALSE(http_get("/", "h", {{"X: y", "x"}}));
}

TEST(HttpGet, NeverQuotesAHeadersValue) {
  EXPECT_EQ(http_get("/", "h", {{"Cookie", "secret\n"}}).error(),
            "the value of the header Cookie holds a control character");
}

}  // namespace
}  // namespace tailgate
