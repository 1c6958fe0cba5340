#include "gateway/feeds/channel_feeds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/lagging_proxy.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_server.h"

namespace tailgate {
namespace {

using Texts = std::vector<std::string>;
using Proxy = testing::LaggingProxy;

// Records its calls as an observer of a channel and as a receiver of the hub.
struct Recorder final : ChannelFeeds::Observer, Receiver {
  void on_confirmed() override { calls.emplace_back("confirmed"); }
  void on_unconfirmed() override { calls.emplace_back("unconfirmed"); }
  void on_refused() override { calls.emplace_back("refused"); }
  void on_batch(const Batch& batch) override { calls.emplace_back(batch.chunk.events()); }
  Texts calls;
};

class ChannelFeedsTest : public testing::LoopTest {
 protected:
  ChannelFeedsTest() {
    route_.name = "raw";
    route_.framing = Framing::kRaw;
    EXPECT_TRUE(run_until([this] { return worker_.up(); }));
  }

  ChannelFeeds& feeds(const std::string& user = {}) {
    rule_.endpoint.unix_path = proxy_.path();
    rule_.user = user;
    if (!user.empty()) rule_.password = "secret";
    feeds_ = std::make_unique<ChannelFeeds>(loop_, resolver_, rule_, hub_, std::chrono::milliseconds(200));
    feeds_->add_key_events(
        {.on_notified =
             [this](std::string_view key, std::string_view event) {
               key_events_.push_back(std::string(key) + ' ' + std::string(event));
             },
         .on_watched = [this](std::string_view key) { key_events_.push_back(std::string(key) + " watched"); },
         .on_invalidated =
             [this](std::string_view key) { key_events_.push_back(std::string(key) + " invalidated"); },
         .on_invalidations_confirmed = [this] { key_events_.emplace_back("confirmed"); }});
    EXPECT_TRUE(run_until([this] { return feeds_->up(); }));
    return *feeds_;
  }

  // Sends a command on another link.  Returns the integer of the reply or of its last element, or -1.
  long long redis(std::initializer_list<std::string_view> words) {
    long long number = -1;
    bool answered = false;
    const RedisCall call = worker_.command(words, [&](const redisReply* reply) {
      answered = true;
      if (reply == nullptr) return;
      const redisReply& last = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0
                                   ? *reply->element[reply->elements - 1]
                                   : *reply;
      if (last.type == REDIS_REPLY_INTEGER) number = last.integer;
    });
    EXPECT_TRUE(run_until([&] { return answered; }));
    return number;
  }

  bool until_no_subscriber(std::string_view channel) {
    const TimePoint deadline = Loop::now() + std::chrono::seconds(10);
    while (redis({"PUBSUB", "NUMSUB", channel}) != 0) {
      if (Loop::now() > deadline) return false;
      run_for(std::chrono::milliseconds(20));
    }
    return true;
  }

  bool until_calls(const Recorder& recorder, std::size_t count) {
    return run_until([&] {
      hub_.flush();
      return recorder.calls.size() >= count;
    });
  }

  testing::RedisServer redis_{path("."),
                              "notify-keyspace-events KA\n"
                              "user limited on >secret ~* &ok* &tailgate:control:* +@all\n"};
  Proxy proxy_{loop_, path("proxy.sock"), redis_.socket_path()};
  RedisRule worker_rule_ = *parse_redis_url("unix:" + redis_.socket_path(), {});
  RedisRule rule_ = worker_rule_;
  RedisLink worker_{loop_, resolver_, worker_rule_, "worker", {}};
  Route route_;
  Hub hub_{{.on_pending = [] {}, .on_skipped = [](const Route&) {}}};
  std::unique_ptr<ChannelFeeds> feeds_;
  Texts key_events_;
};

TEST_F(ChannelFeedsTest, ConfirmsAChannelBeforeItsFirstMessage) {
  ChannelFeeds& feeds = this->feeds();
  Recorder recorder;
  const auto subscription = hub_.subscribe("a", route_, recorder);
  const ChannelFeeds::Interest interest(feeds, "a", recorder);
  EXPECT_FALSE(interest.confirmed());
  ASSERT_TRUE(until_calls(recorder, 1));
  EXPECT_TRUE(interest.confirmed());
  EXPECT_EQ(redis({"PUBLISH", "a", "x"}), 1);
  ASSERT_TRUE(until_calls(recorder, 2));
  EXPECT_EQ(recorder.calls, (Texts{"confirmed", "data: x\n\n"}));
}

TEST_F(ChannelFeedsTest, ConfirmsNothingWhileRedisHasNotAnswered) {
  ChannelFeeds& feeds = this->feeds();
  Recorder recorder;
  proxy_.hold(Proxy::kToClient);
  const ChannelFeeds::Interest interest(feeds, "a", recorder);
  ASSERT_TRUE(run_until([this] { return !proxy_.held(Proxy::kToClient).empty(); }));
  EXPECT_FALSE(interest.confirmed());
  EXPECT_EQ(recorder.calls, Texts{});
  proxy_.release(Proxy::kToClient);
  ASSERT_TRUE(until_calls(recorder, 1));
  EXPECT_TRUE(interest.confirmed());
}

TEST_F(ChannelFeedsTest, ConfirmsALaterInterestAtOnceWithoutACallback) {
  ChannelFeeds& feeds = this->feeds();
  Recorder first;
  Recorder second;
  const ChannelFeeds::Interest one(feeds, "a", first);
  ASSERT_TRUE(until_calls(first, 1));
  const ChannelFeeds::Interest two(feeds, "a", second);
  EXPECT_TRUE(two.confirmed());
  EXPECT_EQ(redis({"PUBSUB", "NUMSUB", "a"}), 1);
  EXPECT_EQ(second.calls, Texts{});
}

TEST_F(ChannelFeedsTest, ReportsALossAndConfirmsAgainAfterIt) {
  ChannelFeeds& feeds = this->feeds();
  Recorder recorder;
  const ChannelFeeds::Interest interest(feeds, "a", recorder);
  ASSERT_TRUE(until_calls(recorder, 1));
  proxy_.refuse();
  proxy_.cut();
  ASSERT_TRUE(until_calls(recorder, 2));
  EXPECT_FALSE(interest.confirmed());
  run_for(std::chrono::milliseconds(100));
  EXPECT_EQ(recorder.calls, (Texts{"confirmed", "unconfirmed"}));
  proxy_.accept();
  ASSERT_TRUE(until_calls(recorder, 3));
  EXPECT_EQ(recorder.calls, (Texts{"confirmed", "unconfirmed", "confirmed"}));
}

TEST_F(ChannelFeedsTest, DeliversPendingMessagesBeforeItReportsALoss) {
  ChannelFeeds& feeds = this->feeds();
  Recorder recorder;
  const auto subscription = hub_.subscribe("a", route_, recorder);
  const ChannelFeeds::Interest interest(feeds, "a", recorder);
  ASSERT_TRUE(until_calls(recorder, 1));
  EXPECT_EQ(redis({"PUBLISH", "a", "x"}), 1);
  ASSERT_TRUE(run_until([this] { return hub_.has_pending(); }));
  proxy_.cut();
  ASSERT_TRUE(run_until([&] { return recorder.calls.size() >= 3; }));
  EXPECT_EQ(recorder.calls, (Texts{"confirmed", "data: x\n\n", "unconfirmed"}));
}

TEST_F(ChannelFeedsTest, KeepsAChannelWithoutObserversForThreeSeconds) {
  ChannelFeeds& feeds = this->feeds();
  Recorder recorder;
  {
    const ChannelFeeds::Interest interest(feeds, "a", recorder);
    ASSERT_TRUE(until_calls(recorder, 1));
  }
  const TimePoint left = Loop::now();
  EXPECT_EQ(redis({"PUBSUB", "NUMSUB", "a"}), 1);
  {
    const ChannelFeeds::Interest again(feeds, "a", recorder);
    EXPECT_TRUE(again.confirmed()) << "for a client that reopens its stream at once";
  }
  EXPECT_TRUE(until_no_subscriber("a"));
  EXPECT_GE(Loop::now() - left, std::chrono::seconds(3));
}

TEST_F(ChannelFeedsTest, ConfirmsAnInterestThatBeganDuringAnUnsubscribe) {
  ChannelFeeds& feeds = this->feeds();
  Recorder recorder;
  {
    const ChannelFeeds::Interest interest(feeds, "a", recorder);
    ASSERT_TRUE(until_calls(recorder, 1));
  }
  // Redis has answered UNSUBSCRIBE; the answer is held back.
  proxy_.hold(Proxy::kToClient);
  ASSERT_TRUE(run_until([this] {
    return proxy_.held(Proxy::kToClient).find("unsubscribe\r\n$1\r\na\r\n") != std::string::npos;
  }));
  const ChannelFeeds::Interest again(feeds, "a", recorder);
  EXPECT_FALSE(again.confirmed());
  ASSERT_TRUE(proxy_.release_one(Proxy::kToClient));
  run_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(again.confirmed()) << "this was the answer to UNSUBSCRIBE";
  EXPECT_EQ(recorder.calls, Texts{"confirmed"});
  proxy_.release(Proxy::kToClient);
  ASSERT_TRUE(until_calls(recorder, 2));
  EXPECT_TRUE(again.confirmed());
}

TEST_F(ChannelFeedsTest, ReportsARefusedChannelToItsObserversOnly) {
  ChannelFeeds& feeds = this->feeds("limited");
  Recorder refused;
  Recorder other;
  const ChannelFeeds::Interest interest(feeds, "private", refused);
  const ChannelFeeds::Interest permitted(feeds, "ok", other);
  ASSERT_TRUE(run_until([&] { return permitted.confirmed(); }));
  EXPECT_EQ(refused.calls, (Texts{"refused", "unconfirmed"}));
  EXPECT_EQ(other.calls.back(), "confirmed");
  EXPECT_FALSE(interest.confirmed());
}

TEST_F(ChannelFeedsTest, ReportsNotificationsOfWatchedKeysOnly) {
  ChannelFeeds& feeds = this->feeds();
  feeds.watch_key("k");
  ASSERT_TRUE(run_until([this] { return !key_events_.empty(); }));
  redis({"SET", "other", "x"});
  redis({"SET", "k", "x"});
  ASSERT_TRUE(run_until([this] { return key_events_.size() == 2; }));
  feeds.unwatch_key("k");
  ASSERT_TRUE(until_no_subscriber("__keyspace@0__:k"));
  redis({"SET", "k", "y"});
  EXPECT_EQ(key_events_, (Texts{"k watched", "k set"}));
}

TEST_F(ChannelFeedsTest, WatchesNoKeyAfterANotificationWasRefused) {
  ChannelFeeds& feeds = this->feeds("limited");
  EXPECT_TRUE(feeds.may_watch_keys());
  feeds.watch_key("k");
  ASSERT_TRUE(run_until([&] { return !feeds.may_watch_keys() && feeds.up(); }));
  feeds.watch_key("l");
  Recorder recorder;
  const ChannelFeeds::Interest interest(feeds, "ok", recorder);
  ASSERT_TRUE(run_until([&] { return interest.confirmed(); }));
  EXPECT_EQ(feeds.link().times_lost(), 1U) << "a second refusal would lose the link again";
  EXPECT_EQ(key_events_, Texts{});
}

TEST_F(ChannelFeedsTest, DeliversInvalidationsOfKeysThatARedirectedConnectionHasRead) {
  ChannelFeeds& feeds = this->feeds();
  feeds.confirm_invalidations();
  ASSERT_TRUE(run_until([this] { return key_events_.size() == 1; }));
  redis({"CLIENT", "TRACKING", "ON", "REDIRECT", std::to_string(feeds.client_id())});
  redis({"GET", "k"});
  redis({"SET", "k", "x"});
  ASSERT_TRUE(run_until([this] { return key_events_.size() == 2; }));
  feeds.confirm_invalidations();
  ASSERT_TRUE(run_until([this] { return key_events_.size() == 3; }));
  EXPECT_EQ(key_events_, (Texts{"confirmed", "k invalidated", "confirmed"}));
}

TEST_F(ChannelFeedsTest, AsksForNoInvalidationsAfterTheyWereRefused) {
  ChannelFeeds& feeds = this->feeds("limited");
  feeds.confirm_invalidations();
  ASSERT_TRUE(run_until([&] { return !feeds.may_hear_invalidations() && feeds.up(); }));
  feeds.confirm_invalidations();
  run_for(std::chrono::milliseconds(50));
  EXPECT_EQ(feeds.link().times_lost(), 1U);
  EXPECT_EQ(key_events_, Texts{});
}

TEST_F(ChannelFeedsTest, AsksForRefusedNotificationsAgainOnALaterConnection) {
  ChannelFeeds& feeds = this->feeds("limited");
  feeds.watch_key("k");
  ASSERT_TRUE(run_until([&] { return !feeds.may_watch_keys() && feeds.up(); }));
  feeds.watch_key("l");
  run_for(std::chrono::milliseconds(250));
  EXPECT_EQ(feeds.link().times_lost(), 1U) << "not on the same connection, because each refusal costs one";
  proxy_.cut();
  ASSERT_TRUE(run_until([&] { return feeds.link().times_lost() == 3 && feeds.up(); }));
  EXPECT_FALSE(feeds.may_watch_keys()) << "still refused";
  redis({"ACL", "SETUSER", "limited", "&__keyspace@0__:*"});
  run_for(std::chrono::milliseconds(250));
  proxy_.cut();
  ASSERT_TRUE(run_until([this] { return key_events_.size() == 2; }));
  EXPECT_TRUE(feeds.may_watch_keys());
  EXPECT_EQ(feeds.link().times_lost(), 4U);
  std::ranges::sort(key_events_);
  EXPECT_EQ(key_events_, (Texts{"k watched", "l watched"}));
}

TEST_F(ChannelFeedsTest, AsksForRefusedInvalidationsAgainOnALaterConnection) {
  ChannelFeeds& feeds = this->feeds("limited");
  feeds.confirm_invalidations();
  ASSERT_TRUE(run_until([&] { return !feeds.may_hear_invalidations() && feeds.up(); }));
  redis({"ACL", "SETUSER", "limited", "&__redis__:invalidate"});
  run_for(std::chrono::milliseconds(250));
  proxy_.cut();
  ASSERT_TRUE(run_until([this] { return !key_events_.empty(); }));
  EXPECT_TRUE(feeds.may_hear_invalidations());
  EXPECT_EQ(key_events_, Texts{"confirmed"});
}

// The stream that lost the old connection must not get two events for one loss.
TEST_F(ChannelFeedsTest, ConfirmsNoChannelOnAConnectionThatIsLostByAnAnnouncementStillRefused) {
  ChannelFeeds& feeds = this->feeds("limited");
  Recorder recorder;
  const ChannelFeeds::Interest interest(feeds, "ok", recorder);
  feeds.confirm_invalidations();
  ASSERT_TRUE(run_until([&] { return !feeds.may_hear_invalidations() && interest.confirmed(); }));
  recorder.calls.clear();
  run_for(std::chrono::milliseconds(250));
  proxy_.cut();
  ASSERT_TRUE(run_until([&] { return feeds.link().times_lost() == 3 && interest.confirmed(); }));
  EXPECT_EQ(recorder.calls, (Texts{"unconfirmed", "unconfirmed", "confirmed"}));
}

}  // namespace
}  // namespace tailgate
