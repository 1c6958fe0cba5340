#include "gateway/streams/stream.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/stream_fixture.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;

constexpr const char* kShortLives = R"(
[route.beats]
path      = "/beats/{id}"
source    = "channel"
key       = "job:{id}:events"
who       = "anyone"
framing   = "raw"
heartbeat = { comment = "beat", every_s = 0.2, when = "silent" }

[route.aging]
path       = "/aging/{id}"
source     = "channel"
key        = "job:{id}:events"
who        = "anyone"
framing    = "raw"
hello      = [{ event = "hello", data = '{"id":${id}}' }]
max_age_s  = 0.5
age_notice = { before_s = 0.3, event = "old", data = "{}" }
)";

class StreamTest : public testing::StreamTest {
 protected:
  StreamTest() : testing::StreamTest(kShortLives) {}
};

TEST_F(StreamTest, StartsWithItsHeadersAndARetry) {
  auto client = get("/events/1", {{"X-Request-ID", "abc"}});
  ASSERT_TRUE(opened(client));
  for (const char* header :
       {"Content-Type: text/event-stream\r\n", "Cache-Control: no-cache, no-transform\r\n",
        "X-Accel-Buffering: no\r\n", "X-Request-ID: abc\r\n"}) {
    EXPECT_TRUE(client.got(header)) << header << client.raw();
  }
  EXPECT_EQ(client.events(), "retry: 3000\n\n");
}

TEST_F(StreamTest, SendsAHeartbeatAfterSilence) {
  auto client = get("/beats/1");
  ASSERT_TRUE(opened(client));
  EXPECT_TRUE(run_until([&] { return client.got(": beat\n\n"); }));
}

TEST_F(StreamTest, SendsNoHeartbeatWhileItSendsEvents) {
  auto client = get("/beats/1");
  ASSERT_TRUE(opened(client));
  const TimePoint end = Loop::now() + milliseconds(500);
  while (Loop::now() < end) {
    redis("PUBLISH job:1:events x");
    run_for(milliseconds(20));
  }
  EXPECT_FALSE(client.got("beat"));
}

TEST_F(StreamTest, EndsAtItsMaximumAgeAfterANotice) {
  const TimePoint began = Loop::now();
  auto client = get("/aging/1");
  ASSERT_TRUE(run_until([&] { return client.got("event: old\n"); }));
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_GE(Loop::now() - began, milliseconds(500));
  EXPECT_EQ(client.events(), "retry: 3000\n\nevent: hello\ndata: {\"id\":\"1\"}\n\nevent: old\ndata: {}\n\n");
}

TEST_F(StreamTest, EndsWhenItsClientTakesNoByteAndItsBacklogIsFull) {
  auto client = get("/events/1");
  ASSERT_TRUE(opened(client));
  const std::string text(1'000'000, 'x');
  for (int i = 0; i < 8; ++i) redis("PUBLISH job:1:events %s", text.c_str());
  ASSERT_TRUE(run_until([this] { return streams_.count() == 0; }));
  EXPECT_NE(metrics().find("tailgate_streams_ended_total{route=\"events\",reason=\"slow\"} 1\n"),
            std::string::npos);
}

}  // namespace
}  // namespace tailgate
