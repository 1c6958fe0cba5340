#include "gateway/feeds/read_check.h"

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <memory>
#include <string>
#include <vector>

#include "gateway/redis/advice.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_server.h"

namespace tailgate {
namespace {

constexpr const char* kRights =
    "user limited on >secret ~job:* &job:* &tailgate:* -@all +auth +role +ping +client|setname +client|id "
    "+subscribe "
    "+unsubscribe +hmget +xrange +xrevrange +xread +xinfo|stream\n";

class ReadCheckTest : public testing::LoopTest {
 protected:
  // `more` is added to the configuration of Redis.
  void start(const std::string& more = {}, const std::string& user = "limited") {
    redis_ = std::make_unique<testing::RedisServer>(path("."), kRights + more);
    rule_ = *parse_redis_url("unix:" + redis_->socket_path(), {});
    rule_.user = user;
    if (!user.empty()) rule_.password = "secret";
    record_.key = *KeyTemplate::compile("job:{id}");
    record_.user = "user_id";
    record_.list_fields();
    channels_ = std::make_unique<ChannelFeeds>(loop_, resolver_, rule_, hub_);
    for (auto& [name, link] : {std::pair("records", &records_), {"logs", &logs_}, {"pages", &pages_}}) {
      *link = std::make_unique<RedisLink>(loop_, resolver_, rule_, name, RedisLink::Events{});
    }
  }

  ReadCheck& check(std::vector<Route> routes, std::string_view wakeups = "auto") {
    routes_ = std::move(routes);
    check_ = std::make_unique<ReadCheck>(
        loop_,
        ReadCheck::Sources{.channels = *channels_, .records = *records_, .logs = *logs_, .pages = *pages_},
        routes_, wakeups);
    return *check_;
  }

  Route route(Source source, const std::string& key) const {
    Route made;
    made.source = source;
    made.key = *KeyTemplate::compile(key);
    made.record = &record_;
    return made;
  }
  std::vector<Route> all_routes() const {
    return {route(Source::kChannel, "job:{id}:events"), route(Source::kLog, "job:{id}:logs"),
            route(Source::kPages, "job:{id}:logs")};
  }

  // Runs a command at once.
  std::string redis(const char* command) const {
    const std::unique_ptr<redisContext, void (*)(redisContext*)> context(
        redisConnectUnix(redis_->socket_path().c_str()), redisFree);
    auto* reply = static_cast<redisReply*>(redisCommand(context.get(), command));
    if (reply == nullptr) return "no answer";
    std::string text = reply->str == nullptr ? std::string() : std::string(reply->str, reply->len);
    freeReplyObject(reply);
    return text;
  }

  std::unique_ptr<testing::RedisServer> redis_;
  RedisRule rule_;
  RecordRule record_;
  Hub hub_{{.on_pending = [] {}, .on_skipped = [](const Route&) {}}};
  std::unique_ptr<ChannelFeeds> channels_;
  std::unique_ptr<RedisLink> records_;
  std::unique_ptr<RedisLink> logs_;
  std::unique_ptr<RedisLink> pages_;
  std::vector<Route> routes_;
  std::unique_ptr<ReadCheck> check_;
};

TEST_F(ReadCheckTest, PassesWhenEachKindOfReadIsAnswered) {
  start();
  const ReadCheck& check = this->check(all_routes());
  EXPECT_FALSE(check.passed());
  ASSERT_TRUE(run_until([&] { return check.passed(); })) << check.why();
  EXPECT_EQ(check.why(), "");
  const std::string stats = redis("INFO commandstats");
  for (const char* command : {"hmget", "xrange", "xread", "xrevrange", "xinfo|stream", "subscribe"}) {
    EXPECT_NE(stats.find("cmdstat_" + std::string(command) + ':'), std::string::npos) << command << stats;
  }
}

TEST_F(ReadCheckTest, ReadsOnlyWhatTheRoutesNeed) {
  start();
  const ReadCheck& check = this->check({route(Source::kPages, "job:{id}:logs")});
  ASSERT_TRUE(run_until([&] { return check.passed(); })) << check.why();
  const std::string stats = redis("INFO commandstats");
  EXPECT_NE(stats.find("cmdstat_xrevrange:"), std::string::npos);
  EXPECT_EQ(stats.find("cmdstat_xrange:"), std::string::npos);
  EXPECT_EQ(stats.find("cmdstat_xread:"), std::string::npos);
}

TEST_F(ReadCheckTest, NeedsNoXreadIfNotificationsReplaceTheSweep) {
  start();
  redis("ACL SETUSER limited -xread");
  const ReadCheck& check = this->check({route(Source::kLog, "job:{id}:logs")}, "notifications");
  EXPECT_TRUE(run_until([&] { return check.passed(); })) << check.why();
}

TEST_F(ReadCheckTest, PassesIfAKeyHoldsAnotherType) {
  start();
  ASSERT_TRUE(run_until([&] { return records_->up(); }));
  for (const char* command : {"SET job:0 x", "SET job:0:logs x", "SET job:1 x", "RPUSH job:1:logs x"})
    redis(command);
  const ReadCheck& check = this->check(all_routes());
  EXPECT_TRUE(run_until([&] { return check.passed(); })) << check.why();
}

struct Refusal {
  const char* right;
  const char* command;
};

class ReadCheckRefusalTest : public ReadCheckTest, public ::testing::WithParamInterface<Refusal> {};

TEST_P(ReadCheckRefusalTest, NamesTheRefusedCommandAndPassesOnceItIsPermitted) {
  start();
  ASSERT_TRUE(run_until([&] { return records_->up() && logs_->up() && pages_->up(); }));
  redis(("ACL SETUSER limited -" + std::string(GetParam().right)).c_str());
  const ReadCheck& check = this->check(all_routes());
  ASSERT_TRUE(run_until([&] { return !check.why().empty(); }));
  run_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(check.passed());
  EXPECT_TRUE(check.why().starts_with("redis: " + std::string(GetParam().command) + " is refused: NOPERM"))
      << check.why();
  EXPECT_TRUE(
      check.why().ends_with("; the Redis user lacks a right; see \"Redis rights\" in deploy/README.md"))
      << check.why();
  redis(("ACL SETUSER limited +" + std::string(GetParam().right)).c_str());
  EXPECT_TRUE(run_until([&] { return check.passed(); })) << check.why();
}

INSTANTIATE_TEST_SUITE_P(Each, ReadCheckRefusalTest,
                         ::testing::Values(Refusal{"hmget", "HMGET"}, Refusal{"xrange", "XRANGE"},
                                           Refusal{"xread", "XREAD"}, Refusal{"xinfo|stream", "XINFO STREAM"},
                                           Refusal{"xrevrange", "XREVRANGE"}),
                         [](const auto& instance) {
                           std::string name = instance.param.command;
                           std::erase(name, ' ');
                           return name;
                         });

TEST_F(ReadCheckTest, NamesARefusedChannelAndPassesOnceItIsPermitted) {
  start();
  ASSERT_TRUE(run_until([&] { return channels_->up(); }));
  redis("ACL SETUSER limited resetchannels &tailgate:*");
  const ReadCheck& check = this->check({route(Source::kChannel, "jobs:updates")});
  ASSERT_TRUE(run_until([&] { return check.why().starts_with("redis: SUBSCRIBE is refused: NOPERM"); }));
  EXPECT_FALSE(check.passed());
  redis("ACL SETUSER limited &jobs:*");
  EXPECT_TRUE(run_until([&] { return check.passed(); })) << check.why();
}

TEST_F(ReadCheckTest, PassesIfTheUserMayReadOnlyKeysOfRealIds) {
  start();
  ASSERT_TRUE(run_until([&] { return records_->up() && channels_->up(); }));
  redis("ACL SETUSER limited resetkeys ~job:prod-* resetchannels &job:prod-* &tailgate:*");
  const ReadCheck& check = this->check(all_routes());
  EXPECT_TRUE(run_until([&] { return check.passed(); })) << check.why();
}

TEST_F(ReadCheckTest, ReadsIdsOfTheFormThatTheRouteAccepts) {
  start();
  const auto are_up = [&] { return channels_->up() && records_->up() && logs_->up() && pages_->up(); };
  ASSERT_TRUE(run_until(are_up));
  redis("ACL SETUSER limited resetkeys ~job:*-*-4*");
  Route pages = route(Source::kPages, "job:{id}:logs");
  pages.path = *PathPattern::compile("/jobs/{id}/logs", false, *IdRule::make(IdRule::Form::kUuid, ""));
  pages.record = nullptr;
  ::testing::internal::CaptureStderr();
  const ReadCheck& check = this->check({pages});
  EXPECT_TRUE(run_until([&] { return check.passed(); })) << check.why();
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST_F(ReadCheckTest, TakesTheRoutesOfAReload) {
  start();
  ReadCheck& check = this->check({route(Source::kChannel, "private")});
  ASSERT_TRUE(run_until([&] { return check.why().starts_with("redis: SUBSCRIBE is refused: NOPERM"); }));
  check.replace_routes({route(Source::kChannel, "job:updates")});
  EXPECT_EQ(check.why().find("refused"), std::string::npos) << "of a route that is gone";
  EXPECT_TRUE(run_until([&] { return check.passed(); })) << check.why();
}

// Redis answers before the check looks at its questions again.
TEST_F(ReadCheckTest, HearsARefusalAfterAReload) {
  start();
  ReadCheck& check = this->check({route(Source::kChannel, "private")});
  const auto is_refused = [&] { return check.why().starts_with("redis: SUBSCRIBE is refused: NOPERM"); };
  ASSERT_TRUE(run_until(is_refused));
  check.replace_routes({route(Source::kChannel, "private")});
  ASSERT_TRUE(run_until(is_refused));
  redis("ACL SETUSER limited &private");
  EXPECT_TRUE(run_until([&] { return check.passed(); })) << check.why();
}

TEST_F(ReadCheckTest, LogsAMissingCommandOnceAndNamesNoKey) {
  start("rename-command XREVRANGE \"\"\n");
  ::testing::internal::CaptureStderr();
  const ReadCheck& check = this->check({route(Source::kPages, "job:{id}:logs")});
  EXPECT_TRUE(run_until([&] { return check.why().find("unknown command") != std::string::npos; }));
  run_for(std::chrono::milliseconds(100));
  const std::string log = ::testing::internal::GetCapturedStderr();
  const std::size_t line = log.find("redis.refused");
  ASSERT_NE(line, std::string::npos) << log;
  EXPECT_EQ(log.find("redis.refused", line + 1), std::string::npos) << log;
  EXPECT_EQ(check.why().find("job:0"), std::string::npos) << check.why();
}

TEST_F(ReadCheckTest, PassesIfOnlyOneOfTwoChannelsIsForbidden) {
  start();
  const ReadCheck& check = this->check(
      {route(Source::kChannel, "job:{id}:events"), route(Source::kChannel, "private:{id}:events")});
  EXPECT_TRUE(run_until([&] { return check.passed(); })) << check.why();
}

// The user may read the keys of certain organisations.  Nobody has the organisation "0" of the question.
TEST_F(ReadCheckTest, IsNotBlockedByAForbiddenKeyThatBeginsWithAName) {
  start();
  const ReadCheck& check =
      this->check({route(Source::kChannel, "{org}:{id}:events"), route(Source::kLog, "{org}:{id}:logs"),
                   route(Source::kPages, "{org}:{id}:logs")});
  EXPECT_TRUE(run_until([&] { return check.passed(); })) << check.why();
}

TEST_F(ReadCheckTest, IsBlockedByAForbiddenCommandForAKeyThatBeginsWithAName) {
  start();
  ASSERT_TRUE(run_until([&] { return channels_->up() && records_->up() && pages_->up(); }));
  for (const char* command : {"xrevrange", "subscribe"}) {
    redis((std::string("ACL SETUSER limited -") + command).c_str());
    const ReadCheck& check = this->check(
        {route(command == std::string("subscribe") ? Source::kChannel : Source::kPages, "{org}:{id}:logs")});
    ASSERT_TRUE(run_until([&] { return !check.why().empty(); }));
    run_for(std::chrono::milliseconds(100));
    EXPECT_FALSE(check.passed()) << command;
    redis((std::string("ACL SETUSER limited +") + command).c_str());
    EXPECT_TRUE(run_until([&] { return check.passed(); })) << check.why();
  }
}

TEST_F(ReadCheckTest, SaysWhyThereIsNoConnection) {
  start({}, "nobody");
  const ReadCheck& check = this->check(all_routes());
  ASSERT_TRUE(run_until([&] { return check.why().find("WRONGPASS") != std::string::npos; })) << check.why();
  EXPECT_FALSE(check.passed());
}

TEST_F(ReadCheckTest, WaitsWhileAReplicaHasNoPrimary) {
  start("replicaof 127.0.0.1 1\n");
  const ReadCheck& check = this->check(all_routes());
  ASSERT_TRUE(run_until([&] {
    return check.why() == "redis: this replica does not follow its primary 127.0.0.1:1";
  })) << check.why();
  redis("REPLICAOF NO ONE");
  EXPECT_TRUE(run_until([&] { return check.passed(); })) << check.why();
}

TEST(ReadCheckAdvice, NamesAClusterAMissingRightAndAMissingCommand) {
  for (const char* error : {"MOVED", "ASK", "CLUSTERDOWN Hash slot not served"}) {
    EXPECT_EQ(advice_about(error),
              "this is a node of a Redis Cluster, and Tailgate needs one server that holds all keys");
  }
  EXPECT_TRUE(advice_about("SELECT: ERR SELECT is not allowed in cluster mode").find("Redis Cluster") !=
              std::string_view::npos);
  EXPECT_EQ(advice_about("ERR unknown command 'HMGET'"),
            "this server lacks the command: is it a Sentinel or a proxy? redis.url must name the primary");
  EXPECT_EQ(advice_about("PING: LOADING Redis is loading the dataset in memory"), "");
}

}  // namespace
}  // namespace tailgate
