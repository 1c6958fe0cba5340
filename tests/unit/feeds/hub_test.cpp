#include "gateway/feeds/hub.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace tailgate {
namespace {

struct Recorder final : Receiver {
  std::string received;
  std::vector<Batch> batches;
  void on_batch(const Batch& batch) override {
    received += batch.chunk.events();
    batches.push_back(batch);
  }
};

Route raw_route() {
  Route route;
  route.name = "raw";
  route.framing = Framing::kRaw;
  return route;
}

Route log_route() {
  Route route;
  route.name = "log";
  route.framing = Framing::kEntry;
  route.event = "log";
  route.entry = {"text"};
  return route;
}

class HubTest : public testing::Test {
 protected:
  int pending_ = 0;
  int skipped_ = 0;
  Hub hub_{{.on_pending = [this] { ++pending_; }, .on_skipped = [this](const Route&) { ++skipped_; }}};
};

TEST_F(HubTest, JoinsTheEventsOfOneTurnInTheirOrder) {
  const Route route = raw_route();
  Recorder recorder;
  const auto subscription = hub_.subscribe("c", route, recorder);
  hub_.publish("c", "1");
  hub_.publish("c", "2");
  EXPECT_EQ(pending_, 1);
  EXPECT_EQ(recorder.received, "");
  hub_.flush();
  EXPECT_EQ(recorder.received, "data: 1\n\ndata: 2\n\n");
  ASSERT_EQ(recorder.batches.size(), 1U);
  EXPECT_EQ(recorder.batches[0].events, 2U);
}

TEST_F(HubTest, SharesOneEncodingAmongReceiversOfOneRoute) {
  const Route route = raw_route();
  Recorder first;
  Recorder second;
  const auto a = hub_.subscribe("c", route, first);
  const auto b = hub_.subscribe("c", route, second);
  hub_.publish("c", "x");
  hub_.flush();
  EXPECT_EQ(first.batches[0].chunk.storage().get(), second.batches[0].chunk.storage().get());
}

TEST_F(HubTest, DeliversAnEventOnlyToReceiversThatSubscribedBeforeIt) {
  const Route route = raw_route();
  Recorder early;
  Recorder late;
  const auto a = hub_.subscribe("c", route, early);
  hub_.publish("c", "before");
  const auto b = hub_.subscribe("c", route, late);
  hub_.publish("c", "after");
  hub_.flush();
  EXPECT_EQ(early.received, "data: before\n\ndata: after\n\n");
  EXPECT_EQ(late.received, "data: after\n\n");
}

TEST_F(HubTest, KeepsTopicsAndRoutesApart) {
  const Route plain = raw_route();
  Route named = raw_route();
  named.event = "tick";
  Recorder a;
  Recorder b;
  Recorder other;
  const auto s1 = hub_.subscribe("c", plain, a);
  const auto s2 = hub_.subscribe("c", named, b);
  const auto s3 = hub_.subscribe("d", plain, other);
  hub_.publish("c", "x");
  hub_.flush();
  EXPECT_EQ(a.received, "data: x\n\n");
  EXPECT_EQ(b.received, "event: tick\ndata: x\n\n");
  EXPECT_EQ(other.received, "");
}

TEST_F(HubTest, ForgetsAReceiverWhoseSubscriptionHasEnded) {
  const Route route = raw_route();
  Recorder gone;
  Recorder stays;
  Recorder third;
  auto first = std::make_unique<Hub::Subscription>(hub_.subscribe("c", route, gone));
  const auto second = hub_.subscribe("c", route, stays);
  const auto last = hub_.subscribe("c", route, third);
  first.reset();
  hub_.publish("c", "x");
  hub_.flush();
  EXPECT_EQ(gone.received, "");
  EXPECT_EQ(stays.received, "data: x\n\n");
  EXPECT_EQ(third.received, "data: x\n\n");
}

TEST_F(HubTest, DropsPendingEventsOfATopicWithoutReceivers) {
  const Route route = raw_route();
  Recorder recorder;
  {
    const auto subscription = hub_.subscribe("c", route, recorder);
    hub_.publish("c", "x");
  }
  hub_.flush();
  EXPECT_EQ(recorder.received, "");
}

TEST_F(HubTest, EndsABatchAfterTheEventThatEndsTheStream) {
  Route route = raw_route();
  route.ends_on_field = "status";
  route.ends_on_values = {"ready"};
  Recorder recorder;
  const auto subscription = hub_.subscribe("c", route, recorder);
  hub_.publish("c", R"({"status":"ready"})");
  hub_.publish("c", "too late");
  hub_.flush();
  EXPECT_EQ(recorder.received, "data: {\"status\":\"ready\"}\nid: end\n\n");
  EXPECT_TRUE(recorder.batches[0].last);
  hub_.publish("c", "again");
  hub_.flush();
  EXPECT_FALSE(recorder.batches[1].last);
}

TEST_F(HubTest, ReportsSkippedPayloads) {
  Route route = raw_route();
  route.only_objects = true;
  Recorder recorder;
  const auto subscription = hub_.subscribe("c", route, recorder);
  hub_.publish("c", "no object");
  hub_.flush();
  EXPECT_EQ(recorder.batches.size(), 0U);
  EXPECT_EQ(skipped_, 1);
}

TEST_F(HubTest, MarksWhereEachEntryOfALogEnds) {
  const Route route = log_route();
  Recorder recorder;
  const auto subscription = hub_.subscribe("log\nk", route, recorder);
  const std::vector<LogEntry> entries = {{.id = {1, 0}, .fields = {{"text", "a"}}},
                                         {.id = {2, 0}, .fields = {}}};
  hub_.publish("log\nk", entries);
  hub_.flush();
  EXPECT_EQ(recorder.received,
            "id: 1-0\nevent: log\ndata: {\"id\":\"1-0\",\"text\":\"a\"}\n\n"
            "id: 2-0\nevent: log\ndata: {\"id\":\"2-0\",\"text\":null}\n\n");
  const Batch& batch = recorder.batches[0];
  EXPECT_EQ(batch.events, 2U);
  EXPECT_EQ(batch.offset_after({0, 5}), 0U);
  EXPECT_EQ(recorder.received.substr(batch.offset_after({1, 0}), 7), "id: 2-0");
  EXPECT_EQ(batch.offset_after({2, 0}), batch.chunk.size());
}

TEST_F(HubTest, DoesNothingForEntriesWithoutReceiversAndForReceiversWithoutEntries) {
  const Route route = log_route();
  Recorder recorder;
  const auto subscription = hub_.subscribe("log\nk", route, recorder);
  hub_.publish("log\nother", std::vector<LogEntry>{{.id = {1, 0}, .fields = {{"text", "a"}}}});
  hub_.publish("log\nk", std::vector<LogEntry>{});
  EXPECT_EQ(pending_, 0);
}

TEST_F(HubTest, DeliversToARouteAlthoughAnotherRouteOfTheTopicSkipsTheEvent) {
  Route skipping = raw_route();
  skipping.only_objects = true;
  const Route taking = raw_route();
  Recorder skipper;
  Recorder taker;
  const auto first = hub_.subscribe("c", skipping, skipper);
  const auto second = hub_.subscribe("c", taking, taker);
  hub_.publish("c", "no object");
  hub_.flush();
  EXPECT_EQ(skipper.received, "");
  EXPECT_EQ(taker.received, "data: no object\n\n");
}

TEST_F(HubTest, DeliversInSlicesSoThatALargeTopicDoesNotDelayASmallOne) {
  const Route route = raw_route();
  std::vector<Recorder> crowd(1000);
  std::vector<Hub::Subscription> tokens;
  for (Recorder& recorder : crowd) tokens.push_back(hub_.subscribe("large", route, recorder));
  Recorder alone;
  const auto subscription = hub_.subscribe("small", route, alone);
  hub_.publish("large", "1");
  hub_.publish("small", "2");
  const auto served = [&] {
    return std::count_if(crowd.begin(), crowd.end(),
                         [](const Recorder& recorder) { return !recorder.received.empty(); });
  };
  EXPECT_TRUE(hub_.flush_some(400));
  EXPECT_EQ(alone.received, "data: 2\n\n");
  EXPECT_GE(served(), 256);
  EXPECT_LE(served(), 400);
  hub_.publish("large", "3");
  while (hub_.flush_some(100)) continue;
  for (const Recorder& recorder : crowd) {
    EXPECT_EQ(recorder.received, "data: 1\n\ndata: 3\n\n");
    EXPECT_EQ(recorder.batches.size(), 2U);
  }
}

TEST_F(HubTest, DeliversToEveryRouteOfATopicWhileMoreIsPublished) {
  const Route first = raw_route();
  const Route second = raw_route();
  std::vector<Recorder> crowd(2000);
  std::vector<Hub::Subscription> tokens;
  for (Recorder& recorder : crowd) tokens.push_back(hub_.subscribe("c", first, recorder));
  Recorder alone;
  const auto subscription = hub_.subscribe("c", second, alone);
  for (int turn = 0; turn < 20; ++turn) {
    hub_.publish("c", "x");
    (void)hub_.flush_some(1024);
  }
  EXPECT_GT(alone.batches.size(), 1U);
}

TEST_F(HubTest, DeliversEverythingOnceInOrderWhileReceiversComeAndGo) {
  struct Member {
    Recorder recorder;
    std::string expected;
    Hub::Subscription subscription;
  };
  const Route route = raw_route();
  std::mt19937 dice(11);
  std::vector<std::unique_ptr<Member>> members;
  for (int step = 0; step < 20000; ++step) {
    switch (dice() % 5) {
      case 0:
        members.push_back(std::make_unique<Member>());
        members.back()->subscription = hub_.subscribe("c", route, members.back()->recorder);
        break;
      case 1:
        if (members.size() > 20) {
          auto& leaver = members[dice() % members.size()];
          EXPECT_TRUE(leaver->expected.starts_with(leaver->recorder.received));
          std::swap(leaver, members.back());
          members.pop_back();
        }
        break;
      case 2: {
        const std::string text = std::to_string(step);
        hub_.publish("c", text);
        for (const auto& member : members) member->expected += "data: " + text + "\n\n";
        break;
      }
      default:
        (void)hub_.flush_some(dice() % 10);
    }
  }
  hub_.flush();
  EXPECT_FALSE(hub_.has_pending());
  for (const auto& member : members) EXPECT_EQ(member->recorder.received, member->expected);
}

}  // namespace
}  // namespace tailgate
