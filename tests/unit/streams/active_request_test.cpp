#include "gateway/streams/active_request.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gateway/streams/streams.h"
#include "tests/support/http_fixture.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;
using testing::RawClient;
using Calls = std::vector<std::string>;

// Opens its stream when the test asks, and records its end and its destruction.
class Probe final : public ActiveRequest {
 public:
  Probe(Streams& streams, Request request, Calls& calls)
      : ActiveRequest(streams, std::move(request)), calls_(calls) {}
  ~Probe() override { calls_.emplace_back("destroyed"); }

  void begin(milliseconds send_timeout = milliseconds(10'000)) {
    request().exchange->begin({}, send_timeout);
    set_open();
  }
  void write(const std::string& events) {
    std::string bytes;
    Chunk::begin(bytes);
    request().exchange->write(Chunk(bytes + events));
  }
  void on_redis_up() override { calls_.emplace_back("redis up"); }
  using ActiveRequest::hand_over;

 private:
  void end_response() override {
    calls_.push_back(std::string(word_of(reason())) + (ending() == Ending::kCut ? ", cut" : ", clean"));
  }

  Calls& calls_;
};

class ActiveRequestTest : public testing::HttpTest {
 protected:
  // Serves the exchange that came last.
  Probe& serve_last() {
    Request request;
    request.config = config_;
    request.route = &route_;
    request.exchange = std::move(kept_.back());
    kept_.pop_back();
    return streams_.add(std::make_unique<Probe>(streams_, std::move(request), calls_));
  }
  bool until_buried() {
    return run_until([this] { return streams_.count() == 0; });
  }

  const std::shared_ptr<const Config> config_ = std::make_shared<Config>();
  const Route route_{};
  RouteMetrics metrics_;
  Deadlines deadlines_{loop_};
  Calls calls_;
  Streams streams_{loop_, deadlines_, metrics_};
};

TEST_F(ActiveRequestTest, IsOpenFromTheStartOfItsStreamUntilItIsCondemned) {
  const RawClient client = client_with_kept_exchange();
  Probe& request = serve_last();
  EXPECT_FALSE(request.open() || request.condemned());
  request.begin();
  EXPECT_TRUE(request.open() && !request.condemned());
  request.condemn(EndReason::kMaxAge);
  EXPECT_TRUE(!request.open() && request.condemned());
}

TEST_F(ActiveRequestTest, IsBuriedAfterTheOtherCallbacksOfTheTurn) {
  const RawClient client = client_with_kept_exchange();
  Probe& request = serve_last();
  request.begin();
  Timer first(loop_, [&] { request.condemn(EndReason::kMaxAge); });
  Timer second(loop_, [&] {
    EXPECT_TRUE(request.condemned());
    calls_.emplace_back("second callback");
  });
  first.after(milliseconds(1));
  second.after(milliseconds(1));
  const TimePoint later = Loop::now() + milliseconds(10);
  while (Loop::now() < later) continue;  // both timers are due in one turn
  ASSERT_TRUE(until_buried());
  EXPECT_EQ(calls_, (Calls{"second callback", "max_age, clean", "destroyed"}));
}

TEST_F(ActiveRequestTest, KeepsItsFirstReasonAndEnding) {
  const RawClient client = client_with_kept_exchange();
  Probe& request = serve_last();
  request.begin();
  request.condemn(EndReason::kTerminal);
  request.condemn(EndReason::kSlow, ActiveRequest::Ending::kCut);
  ASSERT_TRUE(until_buried());
  EXPECT_EQ(calls_, (Calls{"terminal, clean", "destroyed"}));
}

TEST_F(ActiveRequestTest, IsBuriedWhenItsClientLeavesBeforeTheStreamBegins) {
  {
    const RawClient client = client_with_kept_exchange();
    serve_last();
  }
  ASSERT_TRUE(until_buried());
  EXPECT_EQ(calls_, Calls{"destroyed"}) << "there is no response to end";
}

TEST_F(ActiveRequestTest, CutsAStreamWhoseClientHasLeft) {
  {
    const RawClient client = client_with_kept_exchange();
    serve_last().begin();
  }
  ASSERT_TRUE(until_buried());
  EXPECT_EQ(calls_, (Calls{"client_left, cut", "destroyed"}));
}

TEST_F(ActiveRequestTest, CutsAStreamWhoseClientTakesNoByteForTheSendTimeout) {
  const RawClient client = client_with_kept_exchange();
  Probe& request = serve_last();
  request.begin(milliseconds(50));
  request.write(std::string(3'000'000, 'x'));
  EXPECT_GT(request.backlog(), 1'000'000U);
  ASSERT_TRUE(until_buried());
  EXPECT_EQ(calls_, (Calls{"stalled, cut", "destroyed"}));
}

TEST_F(ActiveRequestTest, ClosesTheConnectionWithoutAnAnswerIfItIsDrainedBeforeItsStreamBegins) {
  RawClient client = client_with_kept_exchange();
  serve_last().drain_now();
  ASSERT_TRUE(run_until([&] { return client.closed(); }));
  EXPECT_EQ(client.received(), "");
  EXPECT_EQ(calls_, Calls{"destroyed"});
}

TEST_F(ActiveRequestTest, HandsItsRequestOverAndKeepsItsConfigUntilItIsBuried) {
  RawClient client = client_with_kept_exchange();
  Probe& request = serve_last();
  const Request handed = request.hand_over();
  EXPECT_TRUE(request.condemned());
  EXPECT_EQ(&request.route(), &route_);
  EXPECT_EQ(config_.use_count(), 3) << "the route, which the config owns, would be gone";
  handed.exchange->answer(200, {}, "answered elsewhere");
  ASSERT_TRUE(until_buried());
  EXPECT_EQ(config_.use_count(), 2);
  EXPECT_EQ(calls_, Calls{"destroyed"});
  EXPECT_TRUE(run_until_received(client, "answered elsewhere"));
}

TEST_F(ActiveRequestTest, IgnoresALinkToRedisOnceItIsCondemned) {
  const RawClient client = client_with_kept_exchange();
  Probe& request = serve_last();
  streams_.on_redis_up();
  EXPECT_EQ(calls_, Calls{"redis up"});
  request.condemn(EndReason::kMaxAge);
  streams_.on_redis_up();
  EXPECT_EQ(calls_, Calls{"redis up"});
}

}  // namespace
}  // namespace tailgate
