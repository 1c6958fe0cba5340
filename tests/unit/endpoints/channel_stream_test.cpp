#include "gateway/endpoints/channel_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/support/stream_fixture.h"

namespace tailgate {
namespace {

using Direction = testing::LaggingProxy::Direction;

class ChannelStreamTest : public testing::StreamTest {
 protected:
  ChannelStreamTest() : StreamTest("wait_s = 0.6\n") {}

  testing::HttpClient open_guarded(const std::string& user = "alice") {
    return get("/guarded/1", identity(user, "guarded", "1"));
  }
  bool is_subscribed() {
    const std::string channel = "job:1:events";
    return redis("PUBLISH %s probe", channel.c_str()) == "1";
  }
};

TEST_F(ChannelStreamTest, DeliversEventsThatArePublishedAfterTheConfirmation) {
  auto client = get("/events/1");
  ASSERT_TRUE(opened(client));
  redis("PUBLISH job:1:events hello");
  EXPECT_TRUE(run_until([&] { return client.got("data: hello\n\n"); }));
}

TEST_F(ChannelStreamTest, HoldsEventsUntilTheRecordHasBeenRead) {
  create_job("1");
  records_path_.proxy.hold(Direction::kToClient);
  auto client = open_guarded();
  ASSERT_TRUE(run_until([&] { return is_subscribed(); }));
  ASSERT_TRUE(run_until([&] { return !records_path_.proxy.held(Direction::kToClient).empty(); }));
  redis("PUBLISH job:1:events held");
  run_for(std::chrono::milliseconds(30));
  EXPECT_EQ(client.raw(), "");
  records_path_.proxy.release(Direction::kToClient);
  EXPECT_TRUE(run_until([&] { return client.got("data: held\n\n"); }));
}

TEST_F(ChannelStreamTest, DropsHeldEventsOfAJobWhoseRecordHasEnded) {
  redis("HSET job:1 user_id alice status ready");
  records_path_.proxy.hold(Direction::kToClient);
  auto client = open_guarded();
  ASSERT_TRUE(run_until([&] { return is_subscribed(); }));
  ASSERT_TRUE(run_until([&] { return !records_path_.proxy.held(Direction::kToClient).empty(); }));
  records_path_.proxy.release(Direction::kToClient);
  EXPECT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\nevent: end\ndata: {\"status\":\"ready\"}\nid: end\n\n");
}

TEST_F(ChannelStreamTest, IsUnavailableIfRedisDoesNotConfirmInTime) {
  channels_path_.proxy.hold(Direction::kToClient);
  auto client = open_guarded();
  EXPECT_TRUE(run_until([&] { return client.status() == 503; }));
  EXPECT_TRUE(client.got("Retry-After: "));
}

TEST_F(ChannelStreamTest, ReadsTheRecordAgainIfTheChannelIsLostDuringTheRead) {
  create_job("1");
  records_path_.proxy.hold(Direction::kToClient);
  auto client = open_guarded();
  ASSERT_TRUE(run_until([&] { return !records_path_.proxy.held(Direction::kToClient).empty(); }));
  const auto looks = records_.looks();
  channels_path_.proxy.cut();
  ASSERT_TRUE(run_until([&] { return !channels_.up(); }));
  records_path_.proxy.release(Direction::kToClient);
  EXPECT_TRUE(opened(client));
  EXPECT_GT(records_.looks(), looks);
}

// Events that are published during the loss never arrive.  Only a record that is read after the new
// confirmation includes their changes.
TEST_F(ChannelStreamTest, DropsARecordThatWasReadBeforeALossOfTheChannel) {
  create_job("1");
  records_path_.proxy.hold(Direction::kToClient);
  auto client = open_guarded();
  ASSERT_TRUE(run_until([&] { return !records_path_.proxy.held(Direction::kToClient).empty(); }));
  const auto looks = records_.looks();
  channels_path_.proxy.cut();
  redis("HSET job:1 status ready");
  ASSERT_TRUE(run_until([&] { return records_.looks() > looks; }));
  records_path_.proxy.release(Direction::kToClient);
  EXPECT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_TRUE(client.got("data: {\"status\":\"ready\"}\nid: end\n\n")) << client.raw();
  EXPECT_EQ(records_.looks(), looks + 1) << "the stream opened with the old record";
}

TEST_F(ChannelStreamTest, AsksTheApplicationAgainWhenTheChannelIsLostDuringTheQuestion) {
  testing::RawServer application(loop_, path("app.sock"),
                                 "HTTP/1.0 200 OK\r\nContent-Length: 20\r\n\r\n{\"status\":\"running\"}");
  auto client = get("/asked/1", {{"Cookie", "a=b"}});
  ASSERT_TRUE(opened(client));
  application.silent = true;
  channels_path_.proxy.cut();
  ASSERT_TRUE(run_until([&] { return application.requests.size() == 2; }));
  application.silent = false;
  channels_path_.proxy.cut();
  EXPECT_TRUE(run_until([&] { return client.got("event: resync\n"); }));
  EXPECT_EQ(application.requests.size(), 3U);
}

TEST_F(ChannelStreamTest, HandsOnTheDelayOfAnApplicationThatLimitsItAfterALoss) {
  testing::RawServer application(loop_, path("app.sock"),
                                 "HTTP/1.0 200 OK\r\nContent-Length: 20\r\n\r\n{\"status\":\"running\"}");
  auto client = get("/asked/1", {{"Cookie", "a=b"}});
  ASSERT_TRUE(opened(client));
  application.answer = "HTTP/1.0 429 Slowly\r\nRetry-After: 77\r\nContent-Length: 0\r\n\r\n";
  channels_path_.proxy.cut();
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\nretry: 77000\n\n");
}

TEST_F(ChannelStreamTest, SendsResyncAfterALossOfRedis) {
  auto client = get("/events/1");
  ASSERT_TRUE(opened(client));
  channels_path_.proxy.cut();
  EXPECT_TRUE(run_until([&] { return client.got("event: resync\n"); }));
  redis("PUBLISH job:1:events after");
  EXPECT_TRUE(run_until([&] { return client.got("data: after\n\n"); }));
}

// It cannot become live again without its record, and events are held meanwhile.
TEST_F(ChannelStreamTest, EndsWithAGapIfItsRecordIsRefusedAfterALoss) {
  create_job("1");
  auto client = open_guarded();
  ASSERT_TRUE(opened(client));
  redis("ACL SETUSER default -hmget");
  channels_path_.proxy.cut();
  EXPECT_TRUE(run_until([&] { return client.ended_cleanly(); })) << "silence";
}

// A replica that has lost its primary refuses reads, or not, as replica-serve-stale-data says.  It does not
// close the subscriber link, and delivers nothing.
TEST_F(ChannelStreamTest, SendsResyncAfterItsServerWasAReplicaWithoutAPrimary) {
  for (const char* stale : {"no", "yes"}) {
    create_job("1");
    redis("CONFIG SET replica-serve-stale-data %s", stale);
    auto client = open_guarded();
    ASSERT_TRUE(opened(client));
    redis("REPLICAOF 127.0.0.1 1");
    ASSERT_TRUE(run_until([this] { return !channels_.up() && !records_link_.up() && !logs_link_.up(); }))
        << stale;
    redis("REPLICAOF NO ONE");
    ASSERT_TRUE(run_until([&] { return client.got("event: resync\n"); })) << stale;
    redis("PUBLISH job:1:events after");
    EXPECT_TRUE(run_until([&] { return client.got("data: after\n\n"); })) << stale;
  }
}

// A subscription to this channel would end the gateway's own subscription when the stream ends.
TEST_F(ChannelStreamTest, AnswersAChannelOfTheGatewayItselfWith404) {
  auto reserved = get("/bare/__redis__");
  EXPECT_TRUE(run_until([&] { return reserved.status() == 404; })) << reserved.raw();
  auto other = get("/bare/redis");
  EXPECT_TRUE(opened(other));
}

TEST_F(ChannelStreamTest, EndsWhenTheRecordEndsWithoutAPublishedEvent) {
  create_job("1");
  auto client = open_guarded();
  ASSERT_TRUE(opened(client));
  redis("HSET job:1 status failed");
  EXPECT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_TRUE(client.got("data: {\"status\":\"failed\"}\nid: end\n\n"));
}

TEST_F(ChannelStreamTest, SendsFieldsThatFollowTheTerminalStatus) {
  create_job("1");
  auto client = get("/outcome/1", identity("alice", "outcome", "1"));
  ASSERT_TRUE(opened(client));
  redis("HSET job:1 status failed");
  const auto looks = records_.looks();
  ASSERT_TRUE(run_until([&] { return records_.looks() > looks; }));
  run_for(std::chrono::milliseconds(50));
  redis("HSET job:1 error full");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\nevent: end\ndata: {\"error\":\"full\"}\nid: end\n\n");
}

// The watch of the record has seen "failed" twice and "running" never.
TEST_F(ChannelStreamTest, GoesOnIfTheJobRunsAgainAndEndsWhenItFailsAgain) {
  create_job("1");
  auto client = open_guarded();
  ASSERT_TRUE(opened(client));
  redis("HSET job:1 status failed");
  auto looks = records_.looks();
  ASSERT_TRUE(run_until([&] { return records_.looks() > looks; }));
  run_for(std::chrono::milliseconds(20));
  redis("HSET job:1 status running");
  looks = records_.looks();
  ASSERT_TRUE(run_until([&] { return records_.looks() > looks; }));
  run_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(client.got("event: end"));
  redis("HSET job:1 status ready");
  redis("HSET job:1 status failed");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\nevent: end\ndata: {\"status\":\"failed\"}\nid: end\n\n");
}

TEST_F(ChannelStreamTest, EndsWithoutAnEndIdWhenTheOwnerChanges) {
  create_job("1");
  auto client = open_guarded();
  ASSERT_TRUE(opened(client));
  redis("HSET job:1 user_id bob");
  EXPECT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_FALSE(client.got("id: end"));
}

TEST_F(ChannelStreamTest, AnswersAForeignJobAsAMissingOne) {
  create_job("1");
  auto foreign = open_guarded("bob");
  ASSERT_TRUE(run_until([&] { return foreign.status() == 404; }));
  redis("DEL job:1");
  auto missing = open_guarded();
  ASSERT_TRUE(run_until([&] { return missing.status() == 404; }));
  const auto body = [](const std::string& raw) { return raw.substr(raw.find("\r\n\r\n")); };
  EXPECT_EQ(body(foreign.raw()), body(missing.raw()));
}

TEST_F(ChannelStreamTest, AnswersAClientThatHasSeenTheEndWithNoContent) {
  redis("HSET job:1 user_id alice status ready");
  HttpHeaders headers = identity("alice", "guarded", "1");
  headers.emplace_back("Last-Event-ID", "end");
  auto client = get("/guarded/1", headers);
  EXPECT_TRUE(run_until([&] { return client.status() == 204; }));
}

TEST_F(ChannelStreamTest, LeavesNothingBehindWhenItsClientLeavesDuringTheOpening) {
  create_job("1");
  records_path_.proxy.hold(Direction::kToClient);
  auto client = open_guarded();
  ASSERT_TRUE(run_until([&] { return !records_path_.proxy.held(Direction::kToClient).empty(); }));
  client.leave();
  EXPECT_TRUE(run_until([&] { return streams_.count() == 0; }));
  records_path_.proxy.release(Direction::kToClient);
  run_for(std::chrono::milliseconds(20));
  EXPECT_EQ(streams_.count(), 0U);
}

TEST_F(ChannelStreamTest, PassesOnTheRefusalOfTheApplication) {
  testing::RawServer application(loop_, path("app.sock"), "HTTP/1.0 401 No\r\nContent-Length: 0\r\n\r\n");
  auto client = get("/asked/1", {{"Cookie", "a=b"}});
  EXPECT_TRUE(run_until([&] { return client.status() == 401; }));
  EXPECT_TRUE(client.got("WWW-Authenticate: Bearer"));
}

TEST_F(ChannelStreamTest, OpensWithTheRecordOfTheApplication) {
  testing::RawServer application(loop_, path("app.sock"),
                                 "HTTP/1.0 200 OK\r\nContent-Length: 18\r\n\r\n{\"status\":\"ready\"}");
  auto client = get("/asked/1", {{"Cookie", "a=b"}});
  EXPECT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_TRUE(client.got("data: {\"status\":\"ready\"}\nid: end\n\n")) << client.raw();
  ASSERT_EQ(application.requests.size(), 1U);
  EXPECT_NE(application.requests[0].find("cookie: a=b"), std::string::npos) << application.requests[0];
}

// The record's answers and the published messages come on two links, so their order at the gateway is random.
// Each stream gets one end.  It is the published one if that arrives within kPublishedEnd of the look.
TEST_F(ChannelStreamTest, EndsOnceAndWithThePublishedMessageInAnyOrder) {
  constexpr int kJobs = 60;
  std::mt19937 random(20261129);
  const auto upto = [&](int most) { return std::uniform_int_distribution<>(0, most)(random); };
  std::vector<testing::HttpClient> clients;
  for (int i = 0; i < kJobs; ++i) {
    const std::string job = std::to_string(i);
    create_job(job.c_str());
    clients.push_back(get("/guarded/" + job, identity("alice", "guarded", job)));
  }
  ASSERT_TRUE(run_until(
      [&] { return std::ranges::all_of(clients, [](auto& each) { return each.status() == 200; }); }));
  struct Step {
    TimePoint at;
    std::string command;
  };
  std::vector<Step> steps;
  for (int i = 0; i < kJobs; ++i) {
    const std::string job = std::to_string(i);
    const TimePoint at = Loop::now() + std::chrono::milliseconds(upto(3000));
    steps.push_back({at, "HSET job:" + job + " status ready"});
    // Before the record, with it, or up to 150 ms later.
    steps.push_back({at + std::chrono::milliseconds(upto(250) - 100),
                     "PUBLISH job:" + job + ":events {\"status\":\"ready\",\"result\":" + job + "}"});
  }
  std::ranges::sort(steps, {}, &Step::at);
  for (const Step& step : steps) {
    // A held link delays its answers by up to 20 ms.
    testing::LaggingProxy& link = upto(1) == 0 ? channels_path_.proxy : records_path_.proxy;
    link.hold(Direction::kToClient);
    ASSERT_TRUE(run_until([&] { return Loop::now() >= step.at; }));
    redis(step.command.c_str());
    run_for(std::chrono::milliseconds(upto(20)));
    link.release(Direction::kToClient);
  }
  ASSERT_TRUE(run_until(
      [&] { return std::ranges::all_of(clients, [](auto& each) { return each.ended_cleanly(); }); }));
  for (int i = 0; i < kJobs; ++i) {
    EXPECT_EQ(
        clients[static_cast<std::size_t>(i)].events(),
        "retry: 3000\n\ndata: {\"status\":\"ready\",\"result\":" + std::to_string(i) + "}\nid: end\n\n");
  }
}

}  // namespace
}  // namespace tailgate
