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
    EXPECT_TRUE(run_until([this] { return others_.up(); }));
  }

  SubscriberLink& link(const std::string& user = {}, const std::string& socket = {}) {
    rule_of_link_ = rule_;
    if (!socket.empty()) rule_of_link_.endpoint.unix_path = socket;
    rule_of_link_.user = user;
    if (!user.empty()) rule_of_link_.password = "secret";
    link_ = std::make_unique<SubscriberLink>(
        loop_, resolver_, rule_of_link_,
        SubscriberLink::Events{.on_down = [this] { ++downs_; },
                               .on_refused = [this](std::string_view name) { refused_.emplace_back(name); },
                               .on_confirmed =
                                   [this](std::string_view name) {
                                     EXPECT_TRUE(link_->confirmed(std::string(name))) << name;
                                     confirmed_.emplace_back(name);
                                   },
                               .on_message =
                                   [this](std::string_view name, std::string_view payload) {
                                     messages_.push_back(std::string(name) + '=' + std::string(payload));
                                     came_.push_back(Loop::now());
                                     if (on_message_) on_message_();
                                   },
                               .rest =
                                   [this] {
                                     asked_ = Loop::now();
                                     return rest_;
                                   }});
    EXPECT_TRUE(run_until([this] { return link_->up(); }));
    return *link_;
  }

  SubscriberLink& link_behind_proxy() { return link({}, proxy_.path()); }

  // What Redis answers to somebody else's command: a client_id, or -1.
  long long ask(std::initializer_list<std::string_view> words) {
    long long client_id = -1;
    bool answered = false;
    const RedisCall call = others_.command(words, [&](const redisReply* reply) {
      answered = true;
      if (reply == nullptr) return;
      const redisReply& last = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0
                                   ? *reply->element[reply->elements - 1]
                                   : *reply;
      if (last.type == REDIS_REPLY_INTEGER) client_id = last.integer;
    });
    EXPECT_TRUE(run_until([&] { return answered; }));
    return client_id;
  }

  long long subscribers(std::string_view channel) { return ask({"PUBSUB", "NUMSUB", channel}); }

  bool until_left(std::string_view channel) {
    const TimePoint deadline = Loop::now() + std::chrono::seconds(5);
    while (subscribers(channel) != 0) {
      if (Loop::now() > deadline) return false;
    }
    return true;
  }

  bool loses_the_link() {
    const int before = downs_;
    return ask({"CLIENT", "KILL", "TYPE", "pubsub"}) == 1 && run_until([&] { return downs_ > before; });
  }

  // Whether the proxy holds back so many answers to a SUBSCRIBE or UNSUBSCRIBE.
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
  RedisLink others_{loop_, resolver_, rule_, "others", {.on_up = [] {}, .on_down = [] {}}};
  std::unique_ptr<SubscriberLink> link_;
  int downs_ = 0;
  Names refused_;
  Names confirmed_;
  Names messages_;
  std::vector<TimePoint> came_;  // each of them
  std::function<void()> on_message_;
  std::chrono::microseconds rest_{0};
  TimePoint asked_{};  // for the last rest
};

TEST_F(SubscriberLinkTest, HandsOutWhatIsPublishedFromTheConfirmationOn) {
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
  link.subscribe("b");  // answered when two of a's three commands are
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
  ASSERT_TRUE(
      run_until([this] { return replies_held(1); }));  // Redis has subscribed; its answer is under way
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

// A read begins a rest.  What comes during it is read at its end, all of it.
TEST_F(SubscriberLinkTest, RestsBetweenReads) {
  SubscriberLink& link = this->link();
  link.subscribe("a");
  ASSERT_TRUE(until_confirmed(1));
  rest_ = std::chrono::milliseconds(400);
  const auto rested_before = link.link().rests();
  const std::string first(6000, 'x');
  EXPECT_EQ(ask({"PUBLISH", "a", first}), 1);
  ASSERT_TRUE(run_until([this] { return messages_.size() == 1; }));
  const TimePoint begun = asked_;
  for (const char* text : {"second", "third", "fourth"}) EXPECT_EQ(ask({"PUBLISH", "a", text}), 1);
  const bool in_time = Loop::now() < begun + rest_;
  ASSERT_TRUE(run_until([this] { return messages_.size() == 4; }));
  EXPECT_EQ(messages_, (Names{"a=" + first, "a=second", "a=third", "a=fourth"}));
  EXPECT_GE(came_[1], begun + rest_);
  if (in_time) {
    EXPECT_EQ(link.link().rests(), rested_before + 2) << "together";
  }

  rest_ = std::chrono::microseconds(0);
  EXPECT_EQ(ask({"PUBLISH", "a", "last"}), 1);
  EXPECT_TRUE(run_until([this] { return messages_.size() == 5; })) << "nothing is left to wake it";
}

// hiredis reads 16 KB at a time.
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
  EXPECT_EQ(in_first_turn, 40U);
}

TEST_F(SubscriberLinkTest, DoesNotRestWhileMoreIsWaiting) {
  SubscriberLink& link = this->link();
  link.subscribe("a");
  ASSERT_TRUE(until_confirmed(1));
  rest_ = std::chrono::seconds(1);
  EXPECT_EQ(ask({"PUBLISH", "a", std::string(300'000, 'x')}), 1);
  EXPECT_TRUE(run_until([this] { return messages_.size() == 1; })) << "nineteen reads within five seconds";
}

TEST_F(SubscriberLinkTest, WhatItWritesDoesNotMakeTheRestLonger) {
  SubscriberLink& link = this->link();
  link.subscribe("a");
  ASSERT_TRUE(until_confirmed(1));
  rest_ = std::chrono::milliseconds(400);
  EXPECT_EQ(ask({"PUBLISH", "a", "first"}), 1);
  ASSERT_TRUE(run_until([this] { return messages_.size() == 1; }));
  EXPECT_EQ(ask({"PUBLISH", "a", "second"}), 1);
  const TimePoint patience = Loop::now() + std::chrono::seconds(5);
  for (int n = 0; messages_.size() < 2 && Loop::now() < patience; ++n) {
    link.subscribe("b" + std::to_string(n));
    run_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(messages_.size(), 2U);
}

TEST_F(SubscriberLinkTest, HealsWhenItIsLostWhileItRests) {
  SubscriberLink& link = this->link();
  link.subscribe("a");
  ASSERT_TRUE(until_confirmed(1));
  rest_ = std::chrono::milliseconds(20);
  for (int round = 1; round <= 5; ++round) {
    const auto now = std::to_string(round);
    EXPECT_EQ(ask({"PUBLISH", "a", "x"}), 1);
    ASSERT_TRUE(run_until([&] { return messages_.size() == static_cast<std::size_t>(round); }));
    EXPECT_EQ(ask({"CLIENT", "KILL", "TYPE", "pubsub"}), 1);
    link.subscribe("b" + now);  // the write finds the loss, before the rest is over
    ASSERT_TRUE(run_until([&] { return downs_ == round; }));
    ASSERT_TRUE(run_until([&] { return link.confirmed("a") && link.confirmed("b" + now); }));
  }
}

TEST_F(SubscriberLinkTest, HandsOutTheKeysThatARedirectedConnectionHadRead) {
  SubscriberLink& link = this->link();
  link.subscribe("__redis__:invalidate");
  ASSERT_TRUE(until_confirmed(1));
  ask({"CLIENT", "TRACKING", "ON", "REDIRECT", std::to_string(link.link().client_id())});
  ask({"GET", "read"});
  ask({"SET", "not read", "x"});
  ask({"SET", "read", "x"});
  ask({"SET", "read", "y"});  // told once, until it is read again
  ask({"FLUSHALL"});
  ASSERT_TRUE(run_until([this] { return messages_.size() >= 2; }));
  EXPECT_EQ(messages_, (Names{"__redis__:invalidate=read", "__redis__:invalidate="}));
}

TEST_F(SubscriberLinkTest, ConfirmsAnewWhatRedisHasAlready) {
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
  EXPECT_EQ(confirmed_, (Names{"a", "a", "a"})) << "once for the last of two under way";
  ASSERT_TRUE(loses_the_link());
  link.confirm_again("a");
  link.confirm_again("b");
  ASSERT_TRUE(until_confirmed(5));
  EXPECT_EQ(subscribers("a") + subscribers("b"), 2);
}

TEST_F(SubscriberLinkTest, HasAnotherClientIdEachTimeItComesUp) {
  const SubscriberLink& link = this->link();
  const std::int64_t first = link.link().client_id();
  EXPECT_GT(first, 0);
  ASSERT_TRUE(loses_the_link());
  EXPECT_EQ(link.link().client_id(), 0);
  ASSERT_TRUE(run_until([&] { return link.up(); }));
  EXPECT_GT(link.link().client_id(), first);
}

TEST_F(SubscriberLinkTest, HasNoClientIdWhereRedisRefusesToTellIt) {
  EXPECT_EQ(link("limited").link().client_id(), 0);
}

TEST_F(SubscriberLinkTest, NeverConfirmsAChannelThatWasLeftBeforeTheAnswer) {
  SubscriberLink& link = this->link();
  link.subscribe("a");
  link.unsubscribe("a");
  link.subscribe("b");
  ASSERT_TRUE(until_confirmed(1));
  EXPECT_EQ(confirmed_, Names{"b"});
  EXPECT_EQ(subscribers("a"), 0);
  EXPECT_FALSE(link.confirmed("a"));
}

TEST_F(SubscriberLinkTest, StaysUpWhenTheLastChannelIsLeft) {
  SubscriberLink& link = this->link();
  link.subscribe("a");
  ASSERT_TRUE(until_confirmed(1));
  link.unsubscribe("a");
  EXPECT_FALSE(link.confirmed("a"));
  ASSERT_TRUE(until_left("a"));
  link.subscribe("a");
  ASSERT_TRUE(until_confirmed(2));
  EXPECT_EQ(link.link().times_lost(), 0U);
}

TEST_F(SubscriberLinkTest, ConfirmsAgainAfterALossAllThatIsStillWanted) {
  SubscriberLink& link = this->link();
  for (const char* name : {"a", "b", "c"}) link.subscribe(name);
  ASSERT_TRUE(until_confirmed(3));
  link.unsubscribe("c");
  ASSERT_TRUE(until_left("c"));
  confirmed_.clear();
  ASSERT_TRUE(loses_the_link());
  EXPECT_FALSE(link.confirmed("a"));
  link.unsubscribe("b");
  ASSERT_TRUE(until_confirmed(1));
  EXPECT_EQ(subscribers("a"), 1);
  EXPECT_EQ(subscribers("b") + subscribers("c"), 0);
  EXPECT_EQ(confirmed_, Names{"a"});
}

TEST_F(SubscriberLinkTest, LeavesOutAChannelThatItMayNotReadAndKeepsTheOthers) {
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
  EXPECT_EQ(downs_, 1) << "one loss for one channel that is refused";
  EXPECT_EQ(std::count(confirmed_.begin(), confirmed_.end(), "private"), 0);
}

TEST_F(SubscriberLinkTest, LosesNothingMoreOverAChannelThatItHasLeftOut) {
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

}  // namespace
}  // namespace tailgate
