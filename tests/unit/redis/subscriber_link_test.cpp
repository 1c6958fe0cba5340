#include "gateway/redis/subscriber_link.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/lagging_proxy.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_server.h"

namespace tailgate {
namespace {

using Names = std::vector<std::string>;
using Proxy = testing::LaggingProxy;

class SubscriberLinkTest : public testing::LoopTest {
 protected:
  SubscriberLinkTest() {
    EXPECT_TRUE(run_until([this] { return worker_.up(); }));
  }

  SubscriberLink& link(const std::string& user = {}, const std::string& socket = {}) {
    rule_of_link_ = rule_;
    if (!socket.empty()) rule_of_link_.endpoint.unix_path = socket;
    rule_of_link_.user = user;
    if (!user.empty()) rule_of_link_.password = "secret";
    link_ = std::make_unique<SubscriberLink>(
        loop_, resolver_, rule_of_link_,
        SubscriberLink::Events{.on_up =
                                   [this] {
                                     if (on_up_) on_up_();
                                   },
                               .on_down = [this] { ++downs_; },
                               .on_refused = [this](std::string_view name) { refused_.emplace_back(name); },
                               .on_confirmed =
                                   [this](std::string_view name) {
                                     EXPECT_TRUE(link_->confirmed(std::string(name))) << name;
                                     confirmed_.emplace_back(name);
                                   },
                               .on_message =
                                   [this](std::string_view name, std::string_view payload) {
                                     messages_.push_back(std::string(name) + '=' + std::string(payload));
                                     if (on_message_) on_message_();
                                   }});
    EXPECT_TRUE(run_until([this] { return link_->up(); }));
    return *link_;
  }

  SubscriberLink& link_behind_proxy() { return link({}, proxy_.path()); }

  // Sends a command on another link.  Returns the integer of the reply or of its last element, or -1.
  long long ask(std::initializer_list<std::string_view> words) {
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

  long long subscribers(std::string_view channel) { return ask({"PUBSUB", "NUMSUB", channel}); }

  bool until_unsubscribed(std::string_view channel) {
    const TimePoint deadline = Loop::now() + std::chrono::seconds(5);
    while (subscribers(channel) != 0) {
      if (Loop::now() > deadline) return false;
    }
    return true;
  }

  bool lose_link() {
    const int before = downs_;
    return ask({"CLIENT", "KILL", "TYPE", "pubsub"}) == 1 && run_until([&] { return downs_ > before; });
  }

  // True if the proxy holds back at least `count` answers to SUBSCRIBE or UNSUBSCRIBE.
  bool replies_held(int count) const {
    const std::string held = proxy_.held(Proxy::kToClient);
    int found = 0;
    for (std::size_t at = held.find("*3\r\n"); at != std::string::npos; at = held.find("*3\r\n", at + 1)) {
      ++found;
    }
    return found >= count;
  }

  bool until_confirmed(std::size_t count) {
    return run_until([&] { return confirmed_.size() >= count; });
  }

  testing::RedisServer redis_{path("."),
                              "user limited on >secret ~* &ok* &tailgate:control:* +@all -client|id\n"};
  // Between the link under test and Redis.
  testing::LaggingProxy proxy_{loop_, path("proxy.sock"), redis_.socket_path()};
  RedisRule rule_ = *parse_redis_url("unix:" + redis_.socket_path(), {});
  RedisRule rule_of_link_;
  RedisLink worker_{loop_, resolver_, rule_, "worker", {.on_up = [] {}, .on_down = [] {}}};
  std::unique_ptr<SubscriberLink> link_;
  int downs_ = 0;
  Names refused_;
  Names confirmed_;
  Names messages_;
  std::function<void()> on_message_;
  std::function<void()> on_up_;
};

TEST_F(SubscriberLinkTest, DeliversMessagesThatArePublishedAfterTheConfirmation) {
  SubscriberLink& link = this->link();
  link.subscribe("a");
  EXPECT_FALSE(link.confirmed("a"));
  ASSERT_TRUE(until_confirmed(1));
  EXPECT_EQ(ask({"PUBLISH", "a", "one"}), 1);
  EXPECT_EQ(ask({"PUBLISH", "b", "nobody's"}), 0);
  EXPECT_EQ(ask({"PUBLISH", "a", std::string_view("t\0o\n", 4)}), 1);
  ASSERT_TRUE(run_until([this] { return messages_.size() == 2; }));
  EXPECT_EQ(messages_, (Names{"a=one", std::string("a=t\0o\n", 6)}));
}

TEST_F(SubscriberLinkTest, ConfirmsOnlyWhenNoCommandOfTheChannelIsUnanswered) {
  SubscriberLink& link = this->link();
  link.subscribe("a");
  link.unsubscribe("a");
  link.subscribe("b");  // confirmed while a's last command is unanswered
  link.subscribe("a");
  ASSERT_TRUE(until_confirmed(2));
  EXPECT_EQ(confirmed_, (Names{"b", "a"}));
  EXPECT_EQ(subscribers("a"), 1);
  EXPECT_EQ(confirmed_.size(), 2U) << "confirmed twice";
}

TEST_F(SubscriberLinkTest, ConfirmsNothingBeforeRedisAnswers) {
  SubscriberLink& link = link_behind_proxy();
  proxy_.hold(Proxy::kToClient);
  link.subscribe("a");
  ASSERT_TRUE(run_until([this] { return replies_held(1); })) << "Redis has subscribed, its answer is held";
  EXPECT_FALSE(link.confirmed("a"));
  EXPECT_EQ(confirmed_, Names{});
  proxy_.release(Proxy::kToClient);
  ASSERT_TRUE(until_confirmed(1));
  EXPECT_TRUE(link.confirmed("a"));
}

TEST_F(SubscriberLinkTest, ConfirmsAtTheLastAnswerOfSeveralCommands) {
  SubscriberLink& link = link_behind_proxy();
  proxy_.hold(Proxy::kToClient);
  link.subscribe("a");
  link.unsubscribe("a");
  link.subscribe("a");
  ASSERT_TRUE(run_until([this] { return replies_held(3); }));
  for (int answers = 1; answers <= 2; ++answers) {
    ASSERT_TRUE(proxy_.release_one(Proxy::kToClient));
    run_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(link.confirmed("a")) << answers;
    EXPECT_EQ(confirmed_, Names{}) << answers;
  }
  proxy_.release(Proxy::kToClient);
  ASSERT_TRUE(until_confirmed(1));
  EXPECT_EQ(confirmed_, Names{"a"});
}

// One read of hiredis brings 16 KB, which is 15 of these messages.
TEST_F(SubscriberLinkTest, HandsOutTheMessagesOfSeveralReadsInOneTurn) {
  SubscriberLink& link = link_behind_proxy();
  link.subscribe("a");
  ASSERT_TRUE(until_confirmed(1));
  std::size_t in_first_turn = 0;
  TurnEnd first_turn(loop_, [&] { in_first_turn = messages_.size(); });
  on_message_ = [&] {
    if (messages_.size() == 1) first_turn.ask();
  };
  proxy_.hold(Proxy::kToClient);
  EXPECT_EQ(
      ask({"EVAL", "for i = 1, 40 do redis.call('PUBLISH', 'a', string.rep('x', 1000)) end return 1", "0"}),
      1);
  ASSERT_TRUE(run_until([this] { return proxy_.held(Proxy::kToClient).size() > 40'000; }));
  proxy_.release(Proxy::kToClient);
  ASSERT_TRUE(run_until([this] { return messages_.size() == 40; }));
  EXPECT_GT(in_first_turn, 16U);
}

TEST_F(SubscriberLinkTest, DeliversInvalidationsOfKeysThatARedirectedConnectionHasRead) {
  SubscriberLink& link = this->link();
  link.subscribe("__redis__:invalidate");
  ASSERT_TRUE(until_confirmed(1));
  ask({"CLIENT", "TRACKING", "ON", "REDIRECT", std::to_string(link.link().client_id())});
  ask({"GET", "read"});
  ask({"SET", "not read", "x"});
  ask({"SET", "read", "x"});
  ask({"SET", "read", "y"});  // no second invalidation until the key is read again
  ask({"FLUSHALL"});
  ASSERT_TRUE(run_until([this] { return messages_.size() >= 2; }));
  EXPECT_EQ(messages_, (Names{"__redis__:invalidate=read", "__redis__:invalidate="}));
}

TEST_F(SubscriberLinkTest, ConfirmsAnExistingSubscriptionAgainOnRequest) {
  SubscriberLink& link = this->link();
  link.subscribe("a");
  ASSERT_TRUE(until_confirmed(1));
  link.confirm_again("a");
  EXPECT_FALSE(link.confirmed("a"));
  ASSERT_TRUE(until_confirmed(2));
  link.confirm_again("a");
  link.confirm_again("a");
  ASSERT_TRUE(until_confirmed(3));
  EXPECT_EQ(subscribers("a"), 1);
  EXPECT_EQ(confirmed_, (Names{"a", "a", "a"})) << "one confirmation for two requests under way";
  ASSERT_TRUE(lose_link());
  link.confirm_again("a");
  link.confirm_again("b");
  ASSERT_TRUE(until_confirmed(5));
  EXPECT_EQ(subscribers("a") + subscribers("b"), 2);
}

TEST_F(SubscriberLinkTest, HasANewClientIdAfterEachReconnection) {
  const SubscriberLink& link = this->link();
  const std::int64_t first = link.link().client_id();
  EXPECT_GT(first, 0);
  ASSERT_TRUE(lose_link());
  EXPECT_EQ(link.link().client_id(), 0);
  ASSERT_TRUE(run_until([&] { return link.up(); }));
  EXPECT_GT(link.link().client_id(), first);
}

TEST_F(SubscriberLinkTest, HasNoClientIdIfRedisRefusesTheCommand) {
  EXPECT_EQ(link("limited").link().client_id(), 0);
}

TEST_F(SubscriberLinkTest, NeverConfirmsAChannelThatWasUnsubscribedBeforeTheAnswer) {
  SubscriberLink& link = this->link();
  link.subscribe("a");
  link.unsubscribe("a");
  link.subscribe("b");
  ASSERT_TRUE(until_confirmed(1));
  EXPECT_EQ(confirmed_, Names{"b"});
  EXPECT_EQ(subscribers("a"), 0);
  EXPECT_FALSE(link.confirmed("a"));
}

TEST_F(SubscriberLinkTest, StaysUpAfterTheLastChannelIsUnsubscribed) {
  SubscriberLink& link = this->link();
  link.subscribe("a");
  ASSERT_TRUE(until_confirmed(1));
  link.unsubscribe("a");
  EXPECT_FALSE(link.confirmed("a"));
  ASSERT_TRUE(until_unsubscribed("a"));
  link.subscribe("a");
  ASSERT_TRUE(until_confirmed(2));
  EXPECT_EQ(link.link().times_lost(), 0U);
}

TEST_F(SubscriberLinkTest, ConfirmsWantedChannelsAgainAfterALoss) {
  SubscriberLink& link = this->link();
  for (const char* name : {"a", "b", "c"}) link.subscribe(name);
  ASSERT_TRUE(until_confirmed(3));
  link.unsubscribe("c");
  ASSERT_TRUE(until_unsubscribed("c"));
  confirmed_.clear();
  ASSERT_TRUE(lose_link());
  EXPECT_FALSE(link.confirmed("a"));
  link.unsubscribe("b");
  ASSERT_TRUE(until_confirmed(1));
  EXPECT_EQ(subscribers("a"), 1);
  EXPECT_EQ(subscribers("b") + subscribers("c"), 0);
  EXPECT_EQ(confirmed_, Names{"a"});
}

TEST_F(SubscriberLinkTest, LeavesOutAForbiddenChannelAndKeepsTheOthers) {
  SubscriberLink& link = this->link("limited");
  link.subscribe("ok-before");
  ASSERT_TRUE(until_confirmed(1));
  link.subscribe("private");
  link.subscribe("ok-behind");
  ASSERT_TRUE(run_until([&] { return link.confirmed("ok-before") && link.confirmed("ok-behind"); }));
  EXPECT_EQ(refused_, Names{"private"});
  EXPECT_FALSE(link.confirmed("private"));
  EXPECT_EQ(ask({"PUBLISH", "private", "x"}), 0);
  EXPECT_EQ(ask({"PUBLISH", "ok-behind", "x"}), 1);
  ASSERT_TRUE(run_until([this] { return !messages_.empty(); }));
  EXPECT_EQ(messages_, Names{"ok-behind=x"});
  EXPECT_EQ(downs_, 1) << "one loss for one refused channel";
  EXPECT_EQ(std::count(confirmed_.begin(), confirmed_.end(), "private"), 0);
}

TEST_F(SubscriberLinkTest, NamesItsForbiddenControlChannelOnce) {
  link("limited");
  ask({"ACL", "SETUSER", "limited", "resetchannels", "&ok*"});
  EXPECT_TRUE(run_until([this] { return downs_ >= 3; }) && refused_.size() == 1);
}

TEST_F(SubscriberLinkTest, LosesTheConnectionOnlyOnceOverAForbiddenChannel) {
  SubscriberLink& link = this->link("limited");
  link.subscribe("private");
  link.subscribe("ok");
  ASSERT_TRUE(until_confirmed(1));
  ASSERT_EQ(refused_, Names{"private"});
  link.unsubscribe("private");
  link.subscribe("private");
  link.subscribe("ok-later");
  ASSERT_TRUE(run_until([&] { return link.confirmed("ok-later"); }));
  EXPECT_TRUE(link.confirmed("ok"));
  EXPECT_EQ(downs_, 1);
  EXPECT_EQ(refused_, Names{"private"});
}

TEST_F(SubscriberLinkTest, ConfirmsNothingOnAConnectionThatARefusedChannelEnds) {
  SubscriberLink& link = this->link("limited");
  for (const char* name : {"ok-1", "ok-2", "ok-3"}) link.subscribe(name);
  ASSERT_TRUE(until_confirmed(3));
  confirmed_.clear();
  on_up_ = [&] {
    if (downs_ == 1) link.subscribe("private");
  };
  ASSERT_TRUE(lose_link());
  ASSERT_TRUE(until_confirmed(3));
  run_for(std::chrono::milliseconds(50));
  EXPECT_EQ(downs_, 2);
  EXPECT_EQ(refused_, Names{"private"});
  EXPECT_EQ(confirmed_.size(), 3U) << "confirmed before the refusal, too";
}

TEST_F(SubscriberLinkTest, SubscribesToARefusedChannelAtOnceOnRequest) {
  SubscriberLink& link = this->link("limited");
  link.subscribe("private");
  ASSERT_TRUE(run_until([&] { return !refused_.empty() && link.up(); }));
  link.unsubscribe("private");
  ask({"ACL", "SETUSER", "limited", "&private"});
  link.subscribe("private");
  link.subscribe("ok");
  ASSERT_TRUE(until_confirmed(1));
  EXPECT_EQ(confirmed_, Names{"ok"}) << "the channel is left out for 30 s";
  link.unsubscribe("private");
  link.subscribe_refused("private");
  ASSERT_TRUE(run_until([&] { return link.confirmed("private"); }));
}

TEST_F(SubscriberLinkTest, RetriesAllRefusedChannelsOnRequest) {
  SubscriberLink& link = this->link("limited");
  link.subscribe("private-1");
  link.subscribe("private-2");
  ASSERT_TRUE(run_until([&] { return refused_.size() == 2 && link.up(); }));
  ask({"ACL", "SETUSER", "limited", "&private-1", "&private-2"});
  link.retry_refused_now();
  EXPECT_TRUE(run_until([&] { return link.confirmed("private-1") && link.confirmed("private-2"); }));
}

// Its own probe does not notice that the server was demoted, but its greeting does.
TEST_F(SubscriberLinkTest, ReconnectsAfterADropButNotToAReplicaWithoutAPrimary) {
  SubscriberLink& link = this->link();
  link.subscribe("a");
  ASSERT_TRUE(until_confirmed(1));
  link.drop("for the test");
  EXPECT_FALSE(link.confirmed("a"));
  ASSERT_TRUE(until_confirmed(2));
  EXPECT_EQ(link.link().why_lost(), "for the test");
  ask({"REPLICAOF", "127.0.0.1", "1"});
  link.drop("again");
  ASSERT_TRUE(run_until([&] { return link.link().why_lost().starts_with("this replica does not follow"); }));
  run_for(std::chrono::milliseconds(200));
  EXPECT_EQ(confirmed_, (Names{"a", "a"}));
}

}  // namespace
}  // namespace tailgate
