#include "gateway/redis/link.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/lagging_proxy.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_server.h"

namespace tailgate {
namespace {

// Answers +OK to each command.  It counts asterisks, so a command must hold only one.  It runs in the test's
// thread and never reads while a link writes: bytes that the kernel cannot buffer stay in the link.
class OkServer {
 public:
  OkServer(const Loop& loop, const std::string& path) : loop_(loop) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    listener_.reset(evconnlistener_new_bind(loop.base(), accept_cb, this, LEV_OPT_CLOSE_ON_FREE, -1,
                                            reinterpret_cast<sockaddr*>(&address), sizeof address));
  }

  std::size_t bytes = 0;

 private:
  static void accept_cb(evconnlistener* /*listener*/, evutil_socket_t fd, sockaddr* /*from*/, int /*size*/,
                        void* self) {
    auto* server = static_cast<OkServer*>(self);
    bufferevent* buffer = bufferevent_socket_new(server->loop_.base(), fd, BEV_OPT_CLOSE_ON_FREE);
    server->connections_.emplace_back(buffer);
    bufferevent_setcb(buffer, read_cb, nullptr, nullptr, self);
    bufferevent_enable(buffer, EV_READ | EV_WRITE);
  }
  static void read_cb(bufferevent* buffer, void* self) {
    evbuffer* input = bufferevent_get_input(buffer);
    std::string received(evbuffer_get_length(input), '\0');
    evbuffer_remove(input, received.data(), received.size());
    static_cast<OkServer*>(self)->bytes += received.size();
    for (auto commands = std::count(received.begin(), received.end(), '*'); commands > 0; --commands) {
      bufferevent_write(buffer, "+OK\r\n", 5);
    }
  }

  const Loop& loop_;
  ListenerHandle listener_;
  std::vector<BuffereventHandle> connections_;
};

class RedisLinkTest : public testing::LoopTest {
 protected:
  RedisLinkTest() { rule_.endpoint.unix_path = path("redis.sock"); }

  OkServer server_{loop_, path("redis.sock")};
  RedisRule rule_;
};

TEST_F(RedisLinkTest, WritesTwoMegabytesOfCommandsFromOneTurn) {
  RedisLink link(loop_, resolver_, rule_, "test", {});
  ASSERT_TRUE(run_until([&] { return link.up(); }));
  const std::string large(100'000, 'x');
  std::size_t answers = 0;
  std::vector<RedisCall> calls;
  for (int i = 0; i < 20; ++i) {
    calls.push_back(
        link.command({"ECHO", large}, [&](const redisReply* reply) { answers += reply != nullptr; }));
  }
  EXPECT_TRUE(run_until([&] { return answers == calls.size(); })) << answers;
  EXPECT_TRUE(run_until([&] { return server_.bytes > calls.size() * large.size(); })) << server_.bytes;
  // A later command is written too, without any other event.
  calls.push_back(link.command({"PING"}, [&](const redisReply* reply) { answers += reply != nullptr; }));
  EXPECT_TRUE(run_until([&] { return answers == calls.size(); }));
}

TEST_F(RedisLinkTest, WritesACommandFromAReplyCallback) {
  RedisLink link(loop_, resolver_, rule_, "test", {});
  ASSERT_TRUE(run_until([&] { return link.up(); }));
  int answers = 0;
  RedisCall call;
  std::function<void(const redisReply*)> again = [&](const redisReply* reply) {
    ASSERT_NE(reply, nullptr);
    if (++answers < 1000) call = link.command({"PING"}, again);
  };
  call = link.command({"PING"}, again);
  EXPECT_TRUE(run_until([&] { return answers == 1000; })) << answers;
}

TEST_F(RedisLinkTest, DiscardsUnwrittenCommandsWhenItIsDestroyed) {
  bool answered = false;
  std::optional<RedisLink> link;
  link.emplace(loop_, resolver_, rule_, "test", RedisLink::Events{});
  ASSERT_TRUE(run_until([&] { return link->up(); }));
  const std::size_t before = server_.bytes;
  {
    const RedisCall call = link->command({"PING"}, [&](const redisReply*) { answered = true; });
    link.reset();
    run_for(std::chrono::milliseconds(50));
  }
  EXPECT_FALSE(answered);
  EXPECT_EQ(server_.bytes, before);
}

TEST_F(RedisLinkTest, AnswersAnUnwrittenCommandWithNullWhenItIsDropped) {
  RedisLink link(loop_, resolver_, rule_, "test", {});
  ASSERT_TRUE(run_until([&] { return link.up(); }));
  bool lost = false;
  link.drop("for the test");
  EXPECT_FALSE(link.up());
  ASSERT_TRUE(run_until([&] { return link.up(); })) << "it reconnects";
  const RedisCall call = link.command({"PING"}, [&](const redisReply* reply) { lost = reply == nullptr; });
  link.drop("again");
  EXPECT_TRUE(run_until([&] { return lost; }));
  EXPECT_TRUE(run_until([&] { return link.up(); })) << "it reconnects";
}

using Proxy = testing::LaggingProxy;

class RealRedisLinkTest : public testing::LoopTest {
 protected:
  // A link through the proxy.  ups_ and downs_ count how often it came up and was lost.
  std::unique_ptr<RedisLink> link() {
    proxy_rule_.endpoint.unix_path = proxy_.path();
    return std::make_unique<RedisLink>(
        loop_, resolver_, proxy_rule_, "test",
        RedisLink::Events{.on_up = [this] { ++ups_; }, .on_down = [this] { ++downs_; }});
  }

  testing::RedisServer redis_{path("."), ""};
  Proxy proxy_{loop_, path("proxy.sock"), redis_.socket_path()};
  RedisRule proxy_rule_;
  int ups_ = 0;
  int downs_ = 0;
  RedisRule rule_ = *parse_redis_url("unix:" + redis_.socket_path(), {});
};

TEST_F(RealRedisLinkTest, AnswersACommandWithNullWhileItIsBeingDropped) {
  RedisLink link(loop_, resolver_, rule_, "test", {});
  ASSERT_TRUE(run_until([&] { return link.up(); }));
  bool unavailable = false;
  bool follow_up_lost = false;
  RedisCall follow_up;
  const RedisCall busy = link.command({"EVAL", "return redis.error_reply('BUSY with the test')", "0"},
                                      [&](const redisReply* reply) { unavailable = reply == nullptr; });
  const RedisCall good = link.command({"ECHO", "good"}, [&](const redisReply* reply) {
    ASSERT_NE(reply, nullptr);
    EXPECT_FALSE(link.up());
    follow_up = link.command({"PING"}, [&](const redisReply* last) { follow_up_lost = last == nullptr; });
  });
  EXPECT_TRUE(run_until([&] { return follow_up_lost; }));
  EXPECT_TRUE(unavailable);
  EXPECT_TRUE(run_until([&] { return link.up(); })) << "it reconnects";
}

TEST_F(RealRedisLinkTest, IsUpOnlyAfterTheGreetingWasAnswered) {
  proxy_.hold(Proxy::kToClient);
  const auto link = this->link();
  ASSERT_TRUE(run_until([this] { return proxy_.held(Proxy::kToClient).ends_with("+PONG\r\n"); }));
  EXPECT_FALSE(link->up());
  proxy_.release(Proxy::kToClient);
  ASSERT_TRUE(run_until([&] { return link->up(); }));
  EXPECT_EQ(ups_, 1);
}

TEST_F(RealRedisLinkTest, AnswersEveryCommandUnderWayWithNullWhenItIsLost) {
  const auto link = this->link();
  ASSERT_TRUE(run_until([&] { return link->up(); }));
  proxy_.hold(Proxy::kToServer);
  int nulls = 0;
  const auto count = [&](const redisReply* reply) {
    EXPECT_EQ(reply, nullptr);
    EXPECT_FALSE(link->up()) << "the callback must not send another command";
    ++nulls;
  };
  const RedisCall first = link->command({"PING"}, count);
  const RedisCall second = link->command({"PING"}, count);
  { const RedisCall dropped = link->command({"PING"}, count); }
  run_for(std::chrono::milliseconds(10));
  proxy_.cut();
  ASSERT_TRUE(run_until([this] { return downs_ == 1; }));
  EXPECT_EQ(nulls, 2);
  EXPECT_FALSE(first.under_way());
  proxy_.release(Proxy::kToServer);
  EXPECT_TRUE(run_until([&] { return link->up(); })) << "it reconnects";
  EXPECT_EQ(link->times_lost(), 1U);
}

TEST_F(RealRedisLinkTest, TriesAgainWhileTheConnectionIsRefused) {
  const auto link = this->link();
  ASSERT_TRUE(run_until([&] { return link->up(); }));
  proxy_.refuse();
  proxy_.cut();
  ASSERT_TRUE(run_until([&] { return link->why_lost() == "Connection refused"; }));
  EXPECT_EQ(downs_, 1) << "a failed attempt is not a second loss";
  proxy_.accept();
  EXPECT_TRUE(run_until([&] { return link->up(); }));
  EXPECT_EQ(ups_, 2);
}

TEST_F(RealRedisLinkTest, GivesUpAConnectionWhoseGreetingIsNotAnswered) {
  proxy_rule_.connect_timeout = std::chrono::milliseconds(50);
  proxy_.hold(Proxy::kToClient);
  const auto link = this->link();
  ASSERT_TRUE(run_until([&] { return link->why_lost() == "no connection within 50 ms"; }));
  const std::size_t attempts = proxy_.accepted();
  ASSERT_TRUE(run_until([&] { return proxy_.accepted() > attempts; })) << "another attempt";
  EXPECT_EQ(downs_, 0) << "the link was never up";
}

TEST_F(RealRedisLinkTest, GivesUpAConnectionThatAnswersNoProbe) {
  proxy_rule_.probe_every = std::chrono::milliseconds(50);
  const auto link = this->link();
  ASSERT_TRUE(run_until([&] { return link->up(); }));
  run_for(std::chrono::milliseconds(300));
  EXPECT_EQ(downs_, 0) << "an idle connection that answers probes was given up";
  proxy_.hold(Proxy::kToClient);
  ASSERT_TRUE(run_until([this] { return downs_ == 1; }));
  EXPECT_EQ(link->why_lost(), "no answer for 100 ms");
  proxy_.release(Proxy::kToClient);
  EXPECT_TRUE(run_until([&] { return link->up(); })) << "it reconnects";
}

TEST_F(RealRedisLinkTest, StaysUpWhileAnswersAreSlow) {
  proxy_rule_.probe_every = std::chrono::milliseconds(200);
  proxy_.set_lag(Proxy::kToClient, std::chrono::milliseconds(100));
  const auto link = this->link();
  ASSERT_TRUE(run_until([&] { return link->up(); }));
  run_for(std::chrono::milliseconds(1000));
  EXPECT_EQ(downs_, 0);
}

}  // namespace
}  // namespace tailgate
