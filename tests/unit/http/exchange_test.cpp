#include "gateway/http/exchange.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/http_fixture.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;
using testing::RawClient;
using Gone = Exchange::Gone;

constexpr milliseconds kPatient{10'000};

Chunk chunk_of(std::string_view events) {
  std::string begun;
  Chunk::begin(begun);
  begun += events;
  return Chunk(std::move(begun));
}

class ExchangeTest : public testing::HttpTest {
 protected:
  // A client whose response is a stream that has begun.
  RawClient client_of_stream(const std::string& request = get("/kept"),
                             milliseconds send_timeout = kPatient) {
    RawClient made = client_with_kept_exchange(request);
    kept_.back()->begin({{"Content-Type", "text/event-stream"}}, send_timeout);
    EXPECT_TRUE(run_until_received(made, "\r\n\r\n"));
    drained_ = 0;  // the head has drained
    return made;
  }
  // Writes until the backlog exceeds 100 kB.  Returns all events that were written.
  std::string write_into_the_backlog() {
    std::string written;
    for (char c = 'a'; kept_.back()->backlog() < 100'000; c = c == 'z' ? 'a' : static_cast<char>(c + 1)) {
      const std::string events(50'000, c);
      kept_.back()->write(chunk_of(events));
      written += events;
    }
    return written;
  }
  static std::string body_of(RawClient& client) {
    const std::string& all = client.received();
    return all.substr(std::min(all.size(), all.find("\r\n\r\n") + 4));
  }
};

TEST_F(ExchangeTest, GivesPathAndQueryOfATargetInAbsoluteForm) {
  for (const std::string target : {"/a?b=c", "http://host:80/a?b=c", "https://host?b", "http://host"}) {
    RawClient one = client();
    one.send(get(target));
    EXPECT_TRUE(run_until_received(one, "ok"));
  }
  EXPECT_EQ(targets_, (std::vector<std::string>{"GET /a?b=c", "GET /a?b=c", "GET ?b", "GET /"}));
}

TEST_F(ExchangeTest, AnswersHeadWithTheLengthAndWithoutTheBody) {
  RawClient one = client_with_kept_exchange("HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n");
  kept_.back()->answer(404, {}, "four");
  EXPECT_TRUE(run_until_received(one, "\r\n\r\n"));
  run_for(milliseconds(5));
  EXPECT_TRUE(one.received().starts_with("HTTP/1.1 404 Not Found\r\n")) << one.received();
  EXPECT_NE(one.received().find("Content-Length: 4\r\n"), std::string::npos) << one.received();
  EXPECT_EQ(body_of(one), "");
}

TEST_F(ExchangeTest, AnswersNoContentWithoutALength) {
  RawClient one = client_with_kept_exchange();
  kept_.back()->answer(204, {{"X-Name", "value"}}, "");
  EXPECT_TRUE(run_until_received(one, "\r\n\r\n"));
  EXPECT_NE(one.received().find("X-Name: value\r\n"), std::string::npos) << one.received();
  EXPECT_EQ(one.received().find("Content-Length"), std::string::npos) << one.received();
}

TEST_F(ExchangeTest, ReportsAClientThatLeavesBeforeTheResponse) {
  { const RawClient one = client_with_kept_exchange(); }
  EXPECT_TRUE(run_until([&] { return !gone_.empty(); }));
  EXPECT_EQ(gone_, std::vector{Gone::kClientLeft});
  kept_.back()->answer(200, {}, "nobody reads this");
  kept_.clear();
  EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(ExchangeTest, ReportsAClientThatLeavesAfterItHasSentMore) {
  {
    RawClient one = client_with_kept_exchange(get("/1") + get("/2"));
    one.send("more");
    run_for(milliseconds(20));
    EXPECT_TRUE(gone_.empty());
  }
  EXPECT_TRUE(run_until([&] { return !gone_.empty(); }));
  EXPECT_EQ(targets_.size(), 1U);
  kept_.clear();
}

TEST_F(ExchangeTest, TakesAHalfClosedConnectionForAClientThatLeft) {
  for (const bool is_stream : {false, true}) {
    gone_.clear();
    RawClient one = is_stream ? client_of_stream() : client_with_kept_exchange();
    one.half_close();
    EXPECT_TRUE(run_until([&] { return !gone_.empty(); }));
    EXPECT_EQ(gone_, std::vector{Gone::kClientLeft});
    kept_.clear();
  }
}

TEST_F(ExchangeTest, ClosesTheConnectionIfItDiesWithoutAResponse) {
  RawClient one = client_with_kept_exchange();
  kept_.clear();
  EXPECT_TRUE(run_until([&] { return one.closed(); }));
  EXPECT_EQ(one.received(), "");
  EXPECT_TRUE(gone_.empty());
}

TEST_F(ExchangeTest, StreamsChunksAndEndsWithTheLastOne) {
  RawClient one = client_of_stream();
  EXPECT_NE(one.received().find("Transfer-Encoding: chunked\r\n"), std::string::npos) << one.received();
  kept_.back()->write(chunk_of("data: 1\n\n"));
  EXPECT_TRUE(run_until_received(one, "data: 1"));
  EXPECT_FALSE(one.closed());
  kept_.back()->end();
  kept_.clear();
  EXPECT_TRUE(run_until([&] { return one.closed(); }));
  EXPECT_EQ(body_of(one), "9\r\ndata: 1\n\n\r\n0\r\n\r\n");
}

TEST_F(ExchangeTest, FramesAPartOfAChunkAsAChunkOfItsOwn) {
  RawClient one = client_of_stream();
  const Chunk chunk = chunk_of("data: 1\n\ndata: 2\n\n");
  kept_.back()->write(chunk, 9);
  kept_.back()->write(chunk, chunk.size());
  EXPECT_TRUE(run_until_received(one, "data: 2\n\n\r\n"));
  EXPECT_EQ(body_of(one), "9\r\ndata: 2\n\n\r\n");
  kept_.clear();
}

TEST_F(ExchangeTest, CutsAStreamWithoutTheLastChunk) {
  RawClient one = client_of_stream();
  kept_.back()->write(chunk_of("data: 1\n\n"));
  kept_.back()->cut();
  EXPECT_TRUE(run_until([&] { return one.closed(); }));
  EXPECT_EQ(body_of(one), "9\r\ndata: 1\n\n\r\n");
  EXPECT_TRUE(gone_.empty());
  kept_.clear();
}

TEST_F(ExchangeTest, StreamsWithoutChunksAndLengthToHttp10WithKeepAlive) {
  RawClient one = client_of_stream("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(one.received().find("Content-Length"), std::string::npos) << one.received();
  EXPECT_NE(one.received().find("Connection: close\r\n"), std::string::npos) << one.received();
  kept_.back()->write(chunk_of("data: 1\n\n"));
  kept_.back()->end();
  EXPECT_TRUE(run_until([&] { return one.closed(); }));
  EXPECT_EQ(body_of(one), "data: 1\n\n");
  kept_.clear();
}

TEST_F(ExchangeTest, IgnoresRequestsDuringAStream) {
  RawClient one = client_of_stream();
  std::string bytes;
  while (bytes.size() < 16384) bytes += get("/ignored");
  std::size_t sent = 0;
  EXPECT_TRUE(run_until([&] {
    sent += one.send(bytes);
    return sent > 2'000'000;  // more than all buffers can hold
  }));
  kept_.back()->write(chunk_of("data: 1\n\n"));
  EXPECT_TRUE(run_until_received(one, "data: 1"));
  EXPECT_EQ(targets_.size(), 1U);
  EXPECT_TRUE(gone_.empty());
  kept_.clear();
}

TEST_F(ExchangeTest, SendsItsBacklogInOrderAndReportsThatItIsEmpty) {
  RawClient one = client_of_stream("GET / HTTP/1.0\r\n\r\n");
  std::string written = write_into_the_backlog();
  EXPECT_EQ(drained_, 0);
  (void)one.received();  // the kernel has room again, but the backlog must go first
  kept_.back()->write(chunk_of("the end"));
  written += "the end";
  EXPECT_TRUE(run_until([&] { return body_of(one).size() == written.size(); }));
  EXPECT_TRUE(body_of(one) == written);
  EXPECT_TRUE(run_until([&] { return drained_ == 1; }));
  EXPECT_EQ(kept_.back()->backlog(), 0U);
  kept_.clear();
}

TEST_F(ExchangeTest, SendsItsBacklogAfterTheEndOfTheStream) {
  RawClient one = client_of_stream("GET / HTTP/1.0\r\n\r\n");
  const std::string written = write_into_the_backlog();
  kept_.back()->end();
  kept_.clear();
  EXPECT_EQ(server_->still_flushing(), 1U);
  EXPECT_TRUE(run_until([&] { return one.closed(); }));
  EXPECT_TRUE(body_of(one) == written);
  EXPECT_TRUE(run_until([&] { return server_->still_flushing() == 0; }));
}

TEST_F(ExchangeTest, ReportsAClientThatTakesNoByteForTheSendTimeout) {
  const RawClient one = client_of_stream(get("/kept"), milliseconds(50));
  run_for(milliseconds(100));
  EXPECT_TRUE(gone_.empty()) << "a stream without a backlog may be idle";
  (void)write_into_the_backlog();
  EXPECT_TRUE(run_until([&] { return !gone_.empty(); }));
  EXPECT_EQ(gone_, std::vector{Gone::kStalled});
  kept_.back()->write(chunk_of("data: 1\n\n"));
  EXPECT_EQ(kept_.back()->backlog(), 0U);
  kept_.back()->end();
  kept_.clear();
}

}  // namespace
}  // namespace tailgate
