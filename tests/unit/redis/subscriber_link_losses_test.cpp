#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/redis/subscriber_link.h"
#include "tests/support/lagging_proxy.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_server.h"

namespace tailgate {
namespace {

class SubscriberLinkLossTest : public testing::LoopTest {
 protected:
  // Runs a command at once.
  void redis(const char* command) const {
    const std::unique_ptr<redisContext, void (*)(redisContext*)> context(
        redisConnectUnix(redis_.socket_path().c_str()), redisFree);
    freeReplyObject(redisCommand(context.get(), command));
  }

  testing::RedisServer redis_{path("."), "user limited on >secret ~* &ok* &tailgate:control:* +@all\n"};
  testing::LaggingProxy proxy_{loop_, path("proxy.sock"), redis_.socket_path()};
};

// An ACL change takes them away.  Redis closes the connection over each refused channel, and names only one
// of them.
TEST_F(SubscriberLinkLossTest, ConfirmsEachChannelOnceAlthoughThirtyOthersAreRefused) {
  RedisRule rule = *parse_redis_url("unix:" + redis_.socket_path(), {});
  rule.user = "limited";
  rule.password = "secret";
  int downs = 0;
  std::vector<std::string> refused;
  std::vector<std::string> confirmed;
  SubscriberLink link(loop_, resolver_, rule,
                      {.on_down = [&] { ++downs; },
                       .on_refused = [&](std::string_view name) { refused.emplace_back(name); },
                       .on_confirmed = [&](std::string_view name) { confirmed.emplace_back(name); },
                       .on_message = [](std::string_view, std::string_view) {}});
  ASSERT_TRUE(run_until([&] { return link.up(); }));
  redis("ACL SETUSER limited allchannels");
  for (int i = 0; i < 30; ++i) {
    link.subscribe("private-" + std::to_string(i));
    if (i % 10 == 5) link.subscribe("ok-" + std::to_string(i));
  }
  ASSERT_TRUE(run_until([&] { return confirmed.size() == 33; }));
  confirmed.clear();
  const TimePoint began = Loop::now();
  redis("ACL SETUSER limited resetchannels &ok* &tailgate:control:*");
  ASSERT_TRUE(run_until([&] { return confirmed.size() >= 3; }));
  EXPECT_LT(Loop::now() - began, std::chrono::seconds(3)) << "a wait before each of the 30 connections";
  run_for(std::chrono::milliseconds(100));
  EXPECT_EQ(refused.size(), 30U);
  EXPECT_EQ(downs, 31);
  std::ranges::sort(confirmed);
  EXPECT_EQ(confirmed, (std::vector<std::string>{"ok-15", "ok-25", "ok-5"}))
      << "a channel was confirmed on a connection that a refusal ended";
}

// Clients choose channels by their URLs, so they can ask for channels that Redis refuses.
class SubscriberLinkRefusalTest : public SubscriberLinkLossTest {
 protected:
  void SetUp() override {
    rule_.user = "limited";
    rule_.password = "secret";
    link_ = std::make_unique<SubscriberLink>(
        loop_, resolver_, rule_,
        SubscriberLink::Events{
            .on_down = [this] { ++downs_; },
            .on_refused = [this](std::string_view) { ++refused_; },
            .on_confirmed = [this](std::string_view name) { ++confirmed_[std::string(name)]; },
            .on_message = [](std::string_view, std::string_view) {}});
    link_->subscribe("ok");
    ASSERT_TRUE(run_until([this] { return confirmed_["ok"] == 1; }));
  }

  std::map<std::string, int> confirmed_;  // by channel
  int refused_ = 0;
  int downs_ = 0;
  RedisRule rule_ = *parse_redis_url("unix:" + redis_.socket_path(), {});
  std::unique_ptr<SubscriberLink> link_;
};

TEST_F(SubscriberLinkRefusalTest, PausesLongerBeforeEachTrialButNotBeforeItReconnects) {
  const TimePoint began = Loop::now();
  for (int i = 1; i <= 5; ++i) {
    link_->subscribe("private-" + std::to_string(i));
    ASSERT_TRUE(run_until([&] { return refused_ == i; })) << i;
    const TimePoint lost = Loop::now();
    ASSERT_TRUE(run_until([&] { return confirmed_["ok"] == i + 1; }));
    if (i == 5) {
      EXPECT_LT(Loop::now() - lost, std::chrono::milliseconds(400)) << "the pause would be 400 to 800 ms";
    }
  }
  // Pauses of 50, 100, 200 and 400 ms, each shortened by at most a half.
  EXPECT_GT(Loop::now() - began, std::chrono::milliseconds(370));
}

TEST_F(SubscriberLinkRefusalTest, LosesTheSettledConnectionOnceForThirtyChannelsThatAreRefusedTogether) {
  const TimePoint began = Loop::now();
  for (int i = 0; i < 30; ++i) link_->subscribe("private-" + std::to_string(i));
  ASSERT_TRUE(run_until([this] { return confirmed_["ok"] == 2; }));
  EXPECT_LT(Loop::now() - began, std::chrono::seconds(3)) << "a pause before each of the 30 connections";
  run_for(std::chrono::milliseconds(100));
  EXPECT_EQ(refused_, 30);
  EXPECT_EQ(downs_, 30);
  EXPECT_EQ(confirmed_["ok"], 2) << "a channel was confirmed on a connection that a refusal ended";
}

TEST_F(SubscriberLinkRefusalTest, DoesNotTryNewChannelsBeforeTheOthersAreConfirmedAgain) {
  link_->subscribe("private-0");
  ASSERT_TRUE(run_until([this] { return refused_ == 1; }));
  for (int i = 1; i < 30; ++i) link_->subscribe("private-" + std::to_string(i));
  link_->subscribe("ok-new");
  ASSERT_TRUE(run_until([this] { return confirmed_["ok"] == 2; }));
  EXPECT_EQ(refused_, 1);
  EXPECT_FALSE(link_->confirmed("ok-new"));
  link_->unsubscribe("private-29");
  ASSERT_TRUE(run_until([this] { return confirmed_["ok"] == 3; }));
  EXPECT_TRUE(link_->confirmed("ok-new"));
  EXPECT_EQ(refused_, 29) << "a channel that is not wanted any more was tried";
  EXPECT_EQ(link_->link().times_lost(), 29U);
}

// A proxy may replace its connection to Redis, or Redis may get RESET from a proxy.  The link's own
// connection stays.
TEST_F(SubscriberLinkLossTest, IsLostIfRedisHasForgottenItsSubscriptions) {
  RedisRule rule = *parse_redis_url("unix:" + proxy_.path(), {});
  rule.probe_every = std::chrono::milliseconds(50);
  int downs = 0;
  int confirmed = 0;
  SubscriberLink link(loop_, resolver_, rule,
                      {.on_down = [&] { ++downs; },
                       .on_refused = [](std::string_view) {},
                       .on_confirmed = [&](std::string_view) { ++confirmed; },
                       .on_message = [](std::string_view, std::string_view) {}});
  ASSERT_TRUE(run_until([&] { return link.up(); }));
  for (const char* name : {"a", "b", "c"}) link.subscribe(name);
  ASSERT_TRUE(run_until([&] { return confirmed == 3; }));
  run_for(std::chrono::milliseconds(200));
  link.unsubscribe("c");
  run_for(std::chrono::milliseconds(200));
  EXPECT_EQ(downs, 0) << "the number changes with each channel, but not with a probe";
  proxy_.replace_server_connections();
  ASSERT_TRUE(run_until([&] { return downs == 1; }));
  EXPECT_EQ(link.link().why_lost(), "Redis has forgotten subscriptions");
  EXPECT_TRUE(run_until([&] { return confirmed == 5; }));
  run_for(std::chrono::milliseconds(200));
  EXPECT_EQ(downs, 1);
}

}  // namespace
}  // namespace tailgate
