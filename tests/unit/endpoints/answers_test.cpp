#include "gateway/endpoints/answers.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/stream_fixture.h"

namespace tailgate {
namespace {

class AnswersTest : public testing::StreamTest {
 protected:
  AnswersTest() : StreamTest("[limits]\nstreams = 1\n") {}

  const HttpHeaders native_{{"Accept", "text/event-stream"}};
};

TEST_F(AnswersTest, HoldsANativeEventSourceWithAnUnavailableEvent) {
  auto first = get("/events/1", native_);
  ASSERT_TRUE(opened(first));
  auto second = get("/events/1", native_);
  ASSERT_TRUE(run_until([&] { return second.got("event: unavailable\n"); }));
  EXPECT_EQ(second.status(), 200);
  EXPECT_EQ(second.events(), "retry: 3000\n\nevent: unavailable\ndata: {\"reason\":\"limit\"}\n\n");
  EXPECT_FALSE(second.closed());
  second.leave();
  EXPECT_TRUE(run_until([this] { return streams_.count() == 1; }));
}

TEST_F(AnswersTest, TakesNoEmptyHeaderForACredential) {
  auto first = get("/events/1");
  ASSERT_TRUE(opened(first));
  auto second =
      get("/events/1", {{"Accept", "text/event-stream"}, {"Authorization", ""}, {"X-Session-Id", ""}});
  EXPECT_TRUE(run_until([&] { return second.got("event: unavailable\n"); })) << "nginx answers so too";
}

TEST_F(AnswersTest, AnswersAnotherClientWithAStatusAndRetryAfter) {
  auto first = get("/events/1");
  ASSERT_TRUE(opened(first));
  auto second = get("/events/1");
  ASSERT_TRUE(run_until([&] { return second.status() == 429; }));
  EXPECT_TRUE(second.got("Retry-After: "));
  EXPECT_TRUE(second.got("Cache-Control: no-store"));
  EXPECT_TRUE(run_until([&] { return second.got("Too many open streams"); }));
}

TEST_F(AnswersTest, CountsAnswersByStatus) {
  auto missing = get("/guarded/1", identity("alice", "guarded", "1"));
  ASSERT_TRUE(run_until([&] { return missing.status() == 404; }));
  EXPECT_NE(metrics().find("tailgate_answers_total{route=\"guarded\",status=\"404\"} 1\n"),
            std::string::npos);
}

TEST_F(AnswersTest, ClosesTheConnectionOnceTheProcessRefuses) {
  auto before = get("/guarded/1");
  ASSERT_TRUE(run_until([&] { return before.status() == 401; }));
  EXPECT_FALSE(before.got("Connection: close"));
  drain_.settle();
  drain_.refuse();
  auto after = get("/guarded/1");
  ASSERT_TRUE(run_until([&] { return after.status() == 401; }));
  EXPECT_TRUE(after.got("Connection: close"));
}

TEST_F(AnswersTest, HoldsAtMostAThousandRequestsOverTheLimit) {
  auto first = get("/events/1", native_);
  ASSERT_TRUE(opened(first));
  std::vector<testing::HttpClient> held;
  held.reserve(1000);
  for (int i = 0; i < 1000; ++i) {
    held.push_back(get("/events/1", native_));
    if (i % 50 == 49) {
      ASSERT_TRUE(run_until([&] { return held.back().got("event: unavailable\n"); }));
    }
  }
  auto next = get("/events/1", native_);
  EXPECT_TRUE(run_until([&] { return next.status() == 429; }));
  held.clear();
  ASSERT_TRUE(run_until([this] { return streams_.count() == 1; }));
  auto later = get("/events/1", native_);
  EXPECT_TRUE(run_until([&] { return later.status() == 200; }));
}

}  // namespace
}  // namespace tailgate
