#include "gateway/http/connection.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "tests/support/http_fixture.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;
using testing::RawClient;

class HttpConnectionTest : public testing::HttpTest {};

TEST_F(HttpConnectionTest, AnswersPipelinedRequestsOneByOne) {
  RawClient one = client();
  one.send(get("/1") + "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET " +
           get("/3").substr(0, 20));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 2; }));
  one.send(get("/3").substr(20));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 3; }));
  EXPECT_EQ(targets_, (std::vector<std::string>{"GET /1", "POST /2", "GET /3"}));
  EXPECT_EQ(server_->connections(), 1U);
}

TEST_F(HttpConnectionTest, RefusesABadRequestThatWasPipelined) {
  RawClient one = client();
  one.send(get("/1") + "GET /2 HTTP/1.1\r\nHost : x\r\n\r\n");
  EXPECT_TRUE(run_until([&] { return one.received().find("HTTP/1.1 400 ") != std::string::npos; }));
  EXPECT_EQ(targets_.size(), 1U);
  EXPECT_NE(one.received().find("\r\n\r\n{\"detail\":\"A header line"), std::string::npos) << one.received();
}

TEST_F(HttpConnectionTest, ClosesAConnectionThatSendsNothing) {
  serve({.request = milliseconds(60)});
  RawClient one = client();
  EXPECT_TRUE(run_until([&] { return server_->connections() == 1; }));
  EXPECT_TRUE(run_until([&] { return server_->connections() == 0; }));
  EXPECT_TRUE(one.closed());
  EXPECT_EQ(one.received(), "");
}

TEST_F(HttpConnectionTest, ClosesAConnectionThatSendsItsHeadTooSlowly) {
  serve({.request = milliseconds(150), .refusal_linger = milliseconds(60)});
  RawClient one = client();
  const std::string head = "GET / HTTP/1.1\r\nHost: " + std::string(100'000, 'x');
  std::size_t sent = 0;
  bool accepted = false;
  const auto begun = Loop::now();
  EXPECT_TRUE(run_until([&] {
    if (!one.closed()) sent += one.send(head.substr(sent, 1));
    accepted = accepted || server_->connections() == 1;
    return accepted && server_->connections() == 0;
  }));
  EXPECT_GE(Loop::now() - begun, milliseconds(150));
  EXPECT_TRUE(one.received().starts_with("HTTP/1.1 408 ")) << one.received();
  EXPECT_TRUE(one.closed());
}

TEST_F(HttpConnectionTest, ClosesAConnectionWhoseBodyStaysIncomplete) {
  serve({.request = milliseconds(60), .refusal_linger = milliseconds(20)});
  RawClient one = client();
  one.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc");
  EXPECT_TRUE(run_until([&] { return one.closed(); }));
  EXPECT_TRUE(one.received().starts_with("HTTP/1.1 408 ")) << one.received();
  EXPECT_TRUE(targets_.empty());
  EXPECT_TRUE(run_until([&] { return server_->connections() == 0; }));
}

TEST_F(HttpConnectionTest, LetsAKeepAliveConnectionIdleLongerThanARequestMayTake) {
  serve({.request = milliseconds(50), .idle = milliseconds(400)});
  RawClient one = client();
  one.send(get("/1"));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 1; }));
  run_for(milliseconds(150));
  EXPECT_FALSE(one.closed());
  one.send(get("/2"));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 2; }));
  EXPECT_TRUE(run_until([&] { return one.closed(); }));
  EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(HttpConnectionTest, SendsASlowReaderItsCompleteAnswer) {
  serve({.idle = milliseconds(50), .answer_stalled = milliseconds(2000)});
  body_ = std::string(3'000'000, 'x');
  RawClient one = client();
  one.send(get("/1"));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 1; }));
  run_for(milliseconds(200));
  EXPECT_TRUE(run_until([&] { return one.received().size() > body_.size(); }));
}

TEST_F(HttpConnectionTest, ClosesAConnectionThatTakesNoByteOfItsAnswer) {
  serve({.answer_stalled = milliseconds(60)});
  body_ = std::string(3'000'000, 'x');
  RawClient one = client();
  one.send(get("/1"));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 1; }));
  EXPECT_TRUE(run_until([&] { return server_->connections() == 0; }));
}

// More than the kernel buffers for a unix socket.
constexpr std::size_t kKernel = 1U << 20;

TEST_F(HttpConnectionTest, BoundsThePipelinedBytesWhileARequestIsBeingAnswered) {
  keep_ = true;
  RawClient one = client();
  one.send(get("/1"));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 1; }));
  std::size_t sent = 0;
  for (int i = 0; i < 120; ++i) {
    sent += one.send(std::string(16384, 'x'));
    run_for(milliseconds(1));
  }
  EXPECT_LT(sent, kKernel + 65536);
  kept_.clear();
  EXPECT_EQ(server_->connections(), 0U);
  run_for(milliseconds(5));
}

TEST_F(HttpConnectionTest, BoundsThePipelinedBytesWhileAnAnswerWaitsForItsReader) {
  body_ = std::string(1'000'000, 'x');
  RawClient one = client();
  std::string many;
  while (many.size() < 16384) many += get("/page");
  std::size_t sent = 0;
  for (int i = 0; i < 120; ++i) {
    sent += one.send(many);
    run_for(milliseconds(1));
  }
  EXPECT_EQ(targets_.size(), 1U);
  EXPECT_LT(sent, kKernel + 65536);
}

// Heads that are changed at random get an answer of the handler or our own refusal.
TEST_F(HttpConnectionTest, NeverSendsAnAnswerOfEvhttp) {
  serve({.request = milliseconds(20), .refusal_linger = milliseconds(1)});
  std::mt19937 random(7);
  const auto any = [&](std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random);
  };
  const std::array<std::string, 8> heads = {
      get("/a?b=%41#c"),
      "GET http://u@[::1]:80/a HTTP/1.1\r\nHost: x\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      "POST //h:1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
      "PROPFIND a:b HTTP/1.1\r\nHost: x:1\r\n\r\n",
      "HEAD /%00%2f..//./ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
      "TRACE ?x HTTP/1.1\r\nHost: \r\nTE: trailers\r\n\r\n",
      "DELETE mailto:x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  };
  const std::string odd = " \t:/?#[]@%\\\"{}<>|^`*0aZ\x80\xff";
  std::size_t served = 0;
  std::size_t refused = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<RawClient> clients;
    for (int i = 0; i < 50; ++i) {
      std::string head = heads[any(heads.size())];
      for (std::size_t n = any(4); n > 0; --n) {
        const std::size_t at = any(head.size());
        if (any(3) == 0)
          head.erase(at, 1 + any(3));
        else if (any(2) == 0)
          head[at] = odd[any(odd.size())];
        else
          head.insert(at, 1 + any(3), odd[any(odd.size())]);
      }
      clients.push_back(client());
      clients.back().send(head);
      clients.back().half_close();
    }
    EXPECT_TRUE(run_until([&] {
      return server_->connections() == 0 &&
             std::all_of(clients.begin(), clients.end(), [](RawClient& one) { return one.closed(); });
    }));
    for (RawClient& one : clients) {
      const std::string& got = one.received();
      EXPECT_EQ(got.find("<"), std::string::npos) << got;
      served += got.starts_with("HTTP/1.1 200") || got.starts_with("HTTP/1.0 200") ? 1 : 0;
      refused += got.find("{\"detail\":") != std::string::npos ? 1 : 0;
    }
  }
  EXPECT_GT(refused, 300U);
  EXPECT_GT(targets_.size(), 300U) << served;
}

}  // namespace
}  // namespace tailgate
