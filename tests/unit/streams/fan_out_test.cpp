#include "gateway/streams/fan_out.h"

#include <event2/event.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/loop_fixture.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;

struct Collector final : Receiver {
  void on_batch(const Batch& batch) override { batches.emplace_back(batch.chunk.events()); }
  std::vector<std::string> batches;
};

class FanOutTest : public testing::LoopTest {
 protected:
  FanOutTest() { route_.name = "raw"; }

  Route route_;
  RouteMetrics metrics_;
  FanOut fan_out_{loop_, metrics_};
  Collector collector_;
};

TEST_F(FanOutTest, DeliversTheEventsOfOneTurnAsOneBatch) {
  const auto subscription = fan_out_.hub().subscribe("c", route_, collector_);
  fan_out_.hub().publish("c", "1");
  fan_out_.hub().publish("c", "2");
  EXPECT_TRUE(run_until([this] { return !collector_.batches.empty(); }));
  EXPECT_EQ(collector_.batches, std::vector<std::string>{"data: 1\n\ndata: 2\n\n"});
}

TEST_F(FanOutTest, HoldsEventsWhileMoreAreComing) {
  const auto subscription = fan_out_.hub().subscribe("c", route_, collector_);
  int asked = 0;
  fan_out_.set_more_coming([&] {
    if (++asked == 2) fan_out_.hub().publish("c", "2");
    return asked < 3;
  });
  fan_out_.hub().publish("c", "1");
  EXPECT_TRUE(run_until([this] { return !collector_.batches.empty(); }));
  EXPECT_EQ(collector_.batches[0], "data: 1\n\ndata: 2\n\n");
}

TEST_F(FanOutTest, HoldsEventsForALimitedTime) {
  const auto subscription = fan_out_.hub().subscribe("c", route_, collector_);
  fan_out_.set_more_coming([] { return true; });
  fan_out_.hub().publish("c", "1");
  EXPECT_TRUE(run_until([this] { return !collector_.batches.empty(); }));
}

TEST_F(FanOutTest, MakesAtMost1024DeliveriesInOneTurn) {
  std::vector<std::unique_ptr<Collector>> collectors;
  std::vector<Hub::Subscription> subscriptions;
  for (int i = 0; i < 2000; ++i) {
    collectors.push_back(std::make_unique<Collector>());
    subscriptions.push_back(fan_out_.hub().subscribe("c", route_, *collectors.back()));
  }
  const auto delivered = [&] {
    std::size_t count = 0;
    for (const auto& collector : collectors) count += collector->batches.size();
    return count;
  };
  fan_out_.hub().publish("c", "1");
  event_base_loop(loop_.base(), EVLOOP_ONCE);
  EXPECT_EQ(delivered(), 1024U);
  EXPECT_TRUE(run_until([&] { return delivered() == 2000; }));
}

TEST_F(FanOutTest, CountsPayloadsThatTheRouteDoesNotCarry) {
  route_.only_objects = true;
  const auto subscription = fan_out_.hub().subscribe("c", route_, collector_);
  fan_out_.hub().publish("c", "not an object");
  EXPECT_EQ(metrics_.of("raw").skipped, 1U);
}

}  // namespace
}  // namespace tailgate
