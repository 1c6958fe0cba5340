#include "gateway/streams/streams.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/stream_fixture.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;

class StreamsTest : public testing::StreamTest {
 protected:
  std::vector<ActiveRequest*> served() const {
    std::vector<ActiveRequest*> found;
    streams_.for_each([&](ActiveRequest& request) { found.push_back(&request); });
    return found;
  }
};

TEST_F(StreamsTest, BuriesACondemnedStreamAfterTheTurn) {
  auto client = get("/events/1");
  ASSERT_TRUE(opened(client));
  ActiveRequest& stream = *served().at(0);
  EXPECT_TRUE(stream.open());
  stream.condemn(EndReason::kDrained);
  stream.condemn(EndReason::kSlow, ActiveRequest::Ending::kCut);
  EXPECT_TRUE(stream.condemned());
  EXPECT_FALSE(stream.open());
  EXPECT_EQ(streams_.count(), 1U);
  ASSERT_TRUE(run_until([this] { return streams_.count() == 0; }));
  EXPECT_TRUE(run_until([&] { return client.ended_cleanly(); }))
      << "the first condemnation decides the ending";
  EXPECT_NE(metrics().find("tailgate_streams_ended_total{route=\"events\",reason=\"drained\"} 1\n"),
            std::string::npos);
}

TEST_F(StreamsTest, SendsNothingToACondemnedStream) {
  auto client = get("/events/1");
  ASSERT_TRUE(opened(client));
  served().at(0)->condemn(EndReason::kDrained);
  fan_out_.hub().publish("job:1:events", "late");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_FALSE(client.got("late"));
}

TEST_F(StreamsTest, CutsAStreamWithoutItsCleanEnd) {
  auto client = get("/events/1");
  ASSERT_TRUE(opened(client));
  served().at(0)->condemn(EndReason::kSlow, ActiveRequest::Ending::kCut);
  ASSERT_TRUE(run_until([&] { return client.closed(); }));
  EXPECT_FALSE(client.ended_cleanly());
}

TEST_F(StreamsTest, DrainsByItsDeadlineWithARetryAndACleanEnd) {
  auto channel = get("/events/1");
  create_job("1");
  auto log = get("/lines/1", identity("alice", "lines", "1"));
  ASSERT_TRUE(opened(channel) && opened(log));
  bool empty = false;
  const TimePoint began = Loop::now();
  streams_.drain(began + milliseconds(400));
  streams_.set_on_empty([&] { empty = true; });
  ASSERT_TRUE(run_until([&] { return empty; }));
  EXPECT_TRUE(run_until([&] { return channel.ended_cleanly() && log.ended_cleanly(); }));
  EXPECT_EQ(channel.events().find("retry: 3000\n\nretry: "), 0U) << channel.events();
  EXPECT_GE(Loop::now() - began, milliseconds(200)) << "logs end in the second half";
}

TEST_F(StreamsTest, DrainsAStreamThatOpensLater) {
  streams_.drain(Loop::now());
  auto client = get("/events/1");
  EXPECT_TRUE(run_until([&] { return client.ended_cleanly(); }));
}

TEST_F(StreamsTest, EndsAnOpeningAtOnceWithoutAnAnswer) {
  channels_path_.proxy.hold(testing::LaggingProxy::kToClient);
  auto opening = get("/events/1");
  ASSERT_TRUE(run_until([this] { return streams_.count() == 1; }));
  streams_.end_all();
  EXPECT_TRUE(run_until([&] { return opening.closed(); }));
  EXPECT_EQ(opening.raw(), "");
  EXPECT_EQ(streams_.count(), 0U);
}

TEST_F(StreamsTest, CountsDeliveriesOfOpenStreams) {
  auto client = get("/events/1");
  ASSERT_TRUE(opened(client));
  redis("PUBLISH job:1:events one");
  ASSERT_TRUE(run_until([&] { return client.got("one"); }));
  EXPECT_NE(metrics().find("tailgate_events_delivered_total{route=\"events\"} 1\n"), std::string::npos);
  EXPECT_NE(metrics().find("tailgate_streams_open{route=\"events\"} 1\n"), std::string::npos);
  client.leave();
  ASSERT_TRUE(run_until([this] { return streams_.count() == 0; }));
  EXPECT_NE(metrics().find("tailgate_events_delivered_total{route=\"events\"} 1\n"), std::string::npos);
  EXPECT_NE(metrics().find("tailgate_streams_open{route=\"events\"} 0\n"), std::string::npos);
}

}  // namespace
}  // namespace tailgate
