#include "gateway/streams/heartbeat_cohorts.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace tailgate {
namespace {

Route route_with(std::string_view text) {
  Route route;
  route.path = *PathPattern::compile("/orgs/{org}/jobs/{id}", false);
  route.heartbeat.message = *Message::make(Message::Kind::kComment, "", text, route.path.names());
  return route;
}

TEST(HeartbeatCohorts, GivesThirtyTwoStreamsTheSameJitterAndTheNextOnesAnother) {
  HeartbeatCohorts cohorts;
  std::set<float> first;
  for (int i = 0; i < 32; ++i) first.insert(cohorts.next_jitter());
  ASSERT_EQ(first.size(), 1U);
  EXPECT_GE(*first.begin(), 0.0F);
  EXPECT_LT(*first.begin(), 0.1F);
  EXPECT_NE(cohorts.next_jitter(), *first.begin());
}

TEST(HeartbeatCohorts, EncodesAMessageOnceForAllStreamsThatAreDueTogether) {
  HeartbeatCohorts cohorts;
  const Route route = route_with("beat");
  int encoded = 0;
  const auto values = [&] {
    ++encoded;
    return Values();
  };
  const TimePoint now = Loop::now();
  const Chunk first = cohorts.message(route, now, values);
  const Chunk second = cohorts.message(route, now, values);
  EXPECT_EQ(encoded, 1);
  EXPECT_EQ(first.storage(), second.storage());
  EXPECT_EQ(first.events(), ": beat\n\n");
  (void)cohorts.message(route, now + std::chrono::milliseconds(20), values);
  EXPECT_EQ(encoded, 2);
}

TEST(HeartbeatCohorts, EncodesAMessageThatNamesTheJobForEachStream) {
  HeartbeatCohorts cohorts;
  for (const std::string name : {"id", "org"}) {
    const Route route = route_with("beat ${" + name + '}');
    const TimePoint now = Loop::now();
    const Chunk one = cohorts.message(route, now, [&] { return Values{{name, "1"}}; });
    const Chunk two = cohorts.message(route, now, [&] { return Values{{name, "2"}}; });
    EXPECT_EQ(one.events(), ": beat 1\n\n");
    EXPECT_EQ(two.events(), ": beat 2\n\n");
  }
}

}  // namespace
}  // namespace tailgate
