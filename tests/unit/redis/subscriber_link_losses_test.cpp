#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
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
  testing::RedisServer redis_{path("."), "user limited on >secret ~* &ok* &tailgate:control:* +@all\n"};
  testing::LaggingProxy proxy_{loop_, path("proxy.sock"), redis_.socket_path()};
};

// Redis closes the connection over each refused channel, and names only one of them.
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
                       .on_message = [](std::string_view, std::string_view) {},
                       .rest = {}});
  ASSERT_TRUE(run_until([&] { return link.up(); }));
  const TimePoint began = Loop::now();
  for (int i = 0; i < 30; ++i) {
    link.subscribe("private-" + std::to_string(i));
    if (i % 10 == 5) link.subscribe("ok-" + std::to_string(i));
  }
  ASSERT_TRUE(run_until([&] { return confirmed.size() >= 3; }));
  EXPECT_LT(Loop::now() - began, std::chrono::seconds(3)) << "a wait before each of the 30 connections";
  run_for(std::chrono::milliseconds(100));
  EXPECT_EQ(refused.size(), 30U);
  EXPECT_EQ(downs, 30);
  std::ranges::sort(confirmed);
  EXPECT_EQ(confirmed, (std::vector<std::string>{"ok-15", "ok-25", "ok-5"}))
      << "a channel was confirmed on a connection that a refusal ended";
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
                       .on_message = [](std::string_view, std::string_view) {},
                       .rest = {}});
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
