#include "gateway/http/fetch.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/loop_fixture.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;
using testing::RawServer;

class HttpFetchTest : public testing::LoopTest {
 protected:
  HttpQuestion question(const std::string& target = "/x") {
    HttpQuestion made;
    made.to.unix_path = path("server.sock");
    made.path = target;
    return made;
  }

  // "200 body" or "error: why"
  std::string fetch(HttpQuestion asked) {
    std::optional<std::string> got;
    HttpFetch one(loop_, resolver_, std::move(asked), [&](Result<HttpAnswer> answer) {
      EXPECT_FALSE(got) << "delivered twice";
      got = answer ? std::to_string(answer->status) + ' ' + answer->body : "error: " + answer.error();
    });
    EXPECT_FALSE(got) << "delivered from inside the constructor";
    EXPECT_TRUE(run_until([&] { return got.has_value(); }));
    run_for(milliseconds(2));
    return got.value_or("nothing");
  }
};

TEST_F(HttpFetchTest, SendsARequestAndDeliversTheAnswer) {
  RawServer server(loop_, path("server.sock"), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody");
  HttpQuestion asked = question("/a?b=c");
  asked.authority = "issuer.example";
  asked.headers = {{"Accept", "application/json"}};
  EXPECT_EQ(fetch(asked), "200 body");
  ASSERT_EQ(server.requests.size(), 1U);
  EXPECT_EQ(
      server.requests[0],
      "GET /a?b=c HTTP/1.0\r\nHost: issuer.example\r\nConnection: close\r\nAccept: application/json\r\n\r\n");
}

TEST_F(HttpFetchTest, EndsAfterContentLengthIfTheConnectionStaysOpen) {
  RawServer server(loop_, path("server.sock"), "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno");
  server.closes = false;
  EXPECT_EQ(fetch(question()), "401 no");
}

TEST_F(HttpFetchTest, AcceptsABodyOfTheMaximumSizeAndNotAByteMore) {
  const std::string body(3'000'000, 'x');
  RawServer server(loop_, path("server.sock"), "HTTP/1.0 200 OK\r\n\r\n" + body);
  HttpQuestion asked = question();
  asked.max_body_bytes = body.size();
  EXPECT_TRUE(fetch(asked) == "200 " + body);
  asked.max_body_bytes = body.size() - 1;
  EXPECT_EQ(fetch(asked).substr(0, 60), "error: the answer is larger than 2999999 bytes");
}

TEST_F(HttpFetchTest, FailsIfTheAnswerIsCutOff) {
  RawServer server(loop_, path("server.sock"), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody");
  EXPECT_EQ(fetch(question()), "error: the answer is cut off");
  server.answer = "";
  EXPECT_EQ(fetch(question()), "error: the connection was closed without an answer");
}

TEST_F(HttpFetchTest, FailsAfterItsTimeLimit) {
  RawServer server(loop_, path("server.sock"), "");
  server.silent = true;
  HttpQuestion asked = question();
  asked.within = milliseconds(30);
  EXPECT_EQ(fetch(asked), "error: no answer within 30 ms");
}

TEST_F(HttpFetchTest, SaysWhyItCouldNotConnect) {
  EXPECT_EQ(fetch(question()), "error: No such file or directory");
  { RawServer gone(loop_, path("server.sock"), ""); }
  EXPECT_EQ(fetch(question()), "error: Connection refused");
  HttpQuestion tcp = question();
  tcp.to = {.unix_path = {}, .host = "127.0.0.1", .port = 1};
  EXPECT_EQ(fetch(tcp), "error: Connection refused");
  HttpQuestion too_long = question();
  too_long.to.unix_path = std::string(200, 'x');
  EXPECT_EQ(fetch(too_long).substr(0, 6), "error:");
}

TEST_F(HttpFetchTest, SendsNothingIfAValueWouldAddALine) {
  RawServer server(loop_, path("server.sock"), "HTTP/1.0 200 OK\r\n\r\n");
  EXPECT_EQ(fetch(question("/a\r\nX: y")).substr(0, 6), "error:");
  HttpQuestion asked = question();
  asked.headers = {{"Cookie", "a\nb"}};
  EXPECT_EQ(fetch(asked).substr(0, 6), "error:");
  EXPECT_TRUE(server.requests.empty());
}

TEST_F(HttpFetchTest, NeverCallsBackAfterItsDestruction) {
  RawServer server(loop_, path("server.sock"), "HTTP/1.0 200 OK\r\n\r\nbody");
  server.silent = true;
  bool delivered = false;
  const auto done = [&delivered](const Result<HttpAnswer>&) { delivered = true; };
  { const HttpFetch never_started(loop_, resolver_, question(), done); }
  auto one = std::make_unique<HttpFetch>(loop_, resolver_, question(), done);
  EXPECT_TRUE(run_until([&] { return !server.requests.empty(); }));
  one.reset();
  run_for(milliseconds(10));
  EXPECT_FALSE(delivered);
}

TEST_F(HttpFetchTest, MayDieInsideItsCallback) {
  RawServer server(loop_, path("server.sock"), "HTTP/1.0 200 OK\r\n\r\nbody");
  std::unique_ptr<HttpFetch> one;
  int delivered = 0;
  const auto die = [&](const Result<HttpAnswer>&) {
    ++delivered;
    one.reset();
  };
  one = std::make_unique<HttpFetch>(loop_, resolver_, question(), die);
  EXPECT_TRUE(run_until([&] { return delivered == 1; }));
  HttpQuestion refused = question();
  refused.to = {.unix_path = {}, .host = "127.0.0.1", .port = 1};
  one = std::make_unique<HttpFetch>(loop_, resolver_, refused, die);
  EXPECT_TRUE(run_until([&] { return delivered == 2; }));
  one = std::make_unique<HttpFetch>(loop_, resolver_, question("no path"), die);
  EXPECT_TRUE(run_until([&] { return delivered == 3; }));
  server.silent = true;
  HttpQuestion slow = question();
  slow.within = milliseconds(10);
  one = std::make_unique<HttpFetch>(loop_, resolver_, slow, die);
  EXPECT_TRUE(run_until([&] { return delivered == 4; }));
}

// connect() to a broadcast address fails at once.
class HttpFetchNameTest : public testing::LoopTest {
 protected:
  std::string fetch(const Resolver::Addresses& addresses) {
    Resolver resolver(loop_, [addresses](const std::string& /*host*/) { return addresses; });
    HttpQuestion asked;
    asked.to = {.unix_path = {}, .host = "app.test", .port = 1};
    asked.path = "/";
    std::string got;
    std::unique_ptr<HttpFetch> one;
    one = std::make_unique<HttpFetch>(loop_, resolver, asked, [&](Result<HttpAnswer> answer) {
      got = answer ? "an answer" : answer.error();
      one.reset();
    });
    EXPECT_TRUE(run_until([&] { return !got.empty(); }));
    return got;
  }
};

TEST_F(HttpFetchNameTest, TriesTheNextAddressIfConnectingFailsAtOnce) {
  EXPECT_EQ(fetch({"255.255.255.255", "127.0.0.1"}), "Connection refused");
}

TEST_F(HttpFetchNameTest, FailsWithTheErrorOfItsLastAddress) {
  EXPECT_EQ(fetch({"127.0.0.2", "127.0.0.3"}), "Connection refused");
}

TEST_F(HttpFetchNameTest, MayDieInsideItsCallbackIfConnectingFailsAtOnce) {
  EXPECT_NE(fetch({"127.0.0.1", "255.255.255.255"}), "an answer");
}

}  // namespace
}  // namespace tailgate
