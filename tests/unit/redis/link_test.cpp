#include "gateway/redis/link.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdint>
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
    return std::make_unique<RedisLink>(loop_, resolver_, proxy_rule_, "test",
                                       RedisLink::Events{.on_up = [this] { ++ups_; },
                                                         .on_down = [this] { ++downs_; },
                                                         .on_unsound =
                                                             [this](const std::string& why, bool was_up) {
                                                               unsound_.push_back(why);
                                                               found_while_up_.push_back(was_up);
                                                             }});
  }
  // Runs a command at once, on a connection of its own.
  void redis(const char* command) const {
    const std::unique_ptr<redisContext, void (*)(redisContext*)> context(
        redisConnectUnix(redis_.socket_path().c_str()), redisFree);
    auto* reply = static_cast<redisReply*>(redisCommand(context.get(), command));
    ASSERT_NE(reply, nullptr);
    EXPECT_NE(reply->type, REDIS_REPLY_ERROR) << reply->str;
    freeReplyObject(reply);
  }

  testing::RedisServer redis_{path("."), "user limited on >secret ~* &* +@all -role\n"};
  Proxy proxy_{loop_, path("proxy.sock"), redis_.socket_path()};
  RedisRule proxy_rule_;
  int ups_ = 0;
  int downs_ = 0;
  std::vector<std::string> unsound_;  // the arguments of on_unsound
  std::vector<bool> found_while_up_;
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

// ---- a server that is unsound ---------------------------------------------------------------------------

// A primary that is demoted keeps its connections.
TEST_F(RealRedisLinkTest, IsLostWhileItsServerIsAReplicaWithoutAPrimary) {
  proxy_rule_.probe_every = std::chrono::milliseconds(50);
  const auto link = this->link();
  ASSERT_TRUE(run_until([&] { return link->up(); }));
  redis("REPLICAOF 127.0.0.1 1");
  ASSERT_TRUE(run_until([this] { return downs_ == 1; }));
  const std::string why = "this replica does not follow its primary 127.0.0.1:1";
  ASSERT_FALSE(unsound_.empty());
  EXPECT_EQ(unsound_.front(), why);
  EXPECT_EQ(link->why_lost(), why);
  run_for(std::chrono::milliseconds(300));
  EXPECT_EQ(ups_, 1) << "the greeting asks for the role too";
  ASSERT_GE(found_while_up_.size(), 2U);
  EXPECT_TRUE(found_while_up_[0]);
  EXPECT_FALSE(found_while_up_[1]);
  redis("REPLICAOF NO ONE");
  EXPECT_TRUE(run_until([&] { return link->up(); }));
}

TEST_F(RealRedisLinkTest, IsLostByMasterdownIfTheRoleIsForbidden) {
  proxy_rule_.user = "limited";
  proxy_rule_.password = "secret";
  proxy_rule_.probe_every = std::chrono::milliseconds(50);
  const auto link = this->link();
  ASSERT_TRUE(run_until([&] { return link->up(); }));
  run_for(std::chrono::milliseconds(200));
  EXPECT_EQ(downs_, 0) << "PING is sent in place of ROLE";
  redis("CONFIG SET replica-serve-stale-data no");
  redis("REPLICAOF 127.0.0.1 1");
  ASSERT_TRUE(run_until([this] { return downs_ == 1; }));
  ASSERT_FALSE(unsound_.empty());
  EXPECT_TRUE(unsound_.front().starts_with("MASTERDOWN")) << unsound_.front();
  redis("REPLICAOF NO ONE");
  EXPECT_TRUE(run_until([&] { return link->up(); }));
}

TEST_F(RealRedisLinkTest, StaysUpIfTheRightToAskForTheRoleIsRevoked) {
  proxy_rule_.user = "limited";
  proxy_rule_.password = "secret";
  proxy_rule_.probe_every = std::chrono::milliseconds(50);
  const auto probe = this->link();
  ASSERT_TRUE(run_until([&] { return probe->up(); }));
  redis("ACL SETUSER limited +role");
  proxy_.cut();
  ASSERT_TRUE(run_until([&] { return ups_ == 2; }));
  redis("ACL SETUSER limited -role");
  run_for(std::chrono::milliseconds(300));
  EXPECT_EQ(downs_, 1);
  EXPECT_TRUE(unsound_.empty());
}

TEST_F(RealRedisLinkTest, NoticesADemotionAfterTheRightToAskForTheRoleWasMissingForAWhile) {
  proxy_rule_.user = "limited";
  proxy_rule_.password = "secret";
  proxy_rule_.probe_every = std::chrono::milliseconds(50);
  const auto link = this->link();
  ASSERT_TRUE(run_until([&] { return link->up(); }));
  redis("ACL SETUSER limited +role");
  proxy_.cut();
  ASSERT_TRUE(run_until([&] { return ups_ == 2; }));
  redis("ACL SETUSER limited -role");
  run_for(std::chrono::milliseconds(200));
  redis("ACL SETUSER limited +role");
  run_for(std::chrono::milliseconds(200));
  EXPECT_EQ(downs_, 1);
  redis("REPLICAOF 127.0.0.1 1");
  EXPECT_TRUE(run_until([this] { return downs_ == 2; }));
  EXPECT_EQ(link->why_lost(), "this replica does not follow its primary 127.0.0.1:1");
}

// ---- why a connection was closed --------------------------------------------------------------------------

// Closes each connection when the first bytes arrive, as a server that expects TLS does.
class ClosingServer {
 public:
  ClosingServer(const Loop& loop, sockaddr* address, std::size_t size) : loop_(loop) {
    listener_.reset(evconnlistener_new_bind(loop.base(), accept_cb, this, LEV_OPT_CLOSE_ON_FREE, -1, address,
                                            static_cast<int>(size)));
  }
  std::uint16_t port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    getsockname(evconnlistener_get_fd(listener_.get()), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }

  std::string answer;  // sent before the close

 private:
  static void accept_cb(evconnlistener* /*listener*/, evutil_socket_t fd, sockaddr* /*from*/, int /*size*/,
                        void* self) {
    auto* server = static_cast<ClosingServer*>(self);
    BuffereventHandle buffer(bufferevent_socket_new(server->loop_.base(), fd, BEV_OPT_CLOSE_ON_FREE));
    bufferevent_setcb(buffer.get(), read_cb, nullptr, nullptr, self);
    bufferevent_enable(buffer.get(), EV_READ);
    server->connections_.push_back(std::move(buffer));
  }
  static void read_cb(bufferevent* buffer, void* self) {
    auto* server = static_cast<ClosingServer*>(self);
    (void)send(bufferevent_getfd(buffer), server->answer.data(), server->answer.size(), MSG_NOSIGNAL);
    std::erase_if(server->connections_, [&](const auto& one) { return one.get() == buffer; });
  }

  const Loop& loop_;
  ListenerHandle listener_;
  std::vector<BuffereventHandle> connections_;
};

class ClosedRedisLinkTest : public testing::LoopTest {
 protected:
  // Why a link to the server at `rule` was lost.
  std::string why_lost() {
    RedisLink link(loop_, resolver_, rule_, "test", {});
    EXPECT_TRUE(run_until([&] { return !link.why_lost().empty(); }));
    return link.why_lost();
  }
  std::unique_ptr<ClosingServer> tcp_server() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto server =
        std::make_unique<ClosingServer>(loop_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    rule_.endpoint.host = "127.0.0.1";
    rule_.endpoint.port = server->port();
    return server;
  }

  RedisRule rule_;
};

TEST_F(ClosedRedisLinkTest, AsksWhetherAPortThatClosesWithoutAWordSpeaksTls) {
  const auto server = tcp_server();
  EXPECT_TRUE(why_lost().ends_with("; does this port speak TLS? then rediss://")) << why_lost();
}

TEST_F(ClosedRedisLinkTest, NamesTheErrorLogOfNginxIfTheLegClosesTheConnection) {
  const auto server = tcp_server();
  rule_.through_leg = true;
  EXPECT_TRUE(why_lost().ends_with("; nginx's leg at redis.tls_leg ended it, and nginx's error log says why"))
      << why_lost();
}

TEST_F(ClosedRedisLinkTest, AsksWhetherAPortThatAnswersWithATlsAlertSpeaksTls) {
  const auto server = tcp_server();
  server->answer = std::string("\x15\x03\x03\x00\x02\x02\x46", 7);
  EXPECT_TRUE(why_lost().ends_with("; does this port speak TLS? then rediss://")) << why_lost();
}

TEST_F(ClosedRedisLinkTest, DoesNotAskForTlsOnceTheLinkHasBeenUp) {
  const testing::RedisServer redis(path("."), "");
  rule_.endpoint.unix_path = redis.socket_path();
  RedisLink link(loop_, resolver_, rule_, "test", {});
  ASSERT_TRUE(run_until([&] { return link.up(); }));
  const auto server = tcp_server();
  rule_.endpoint.unix_path.clear();
  link.drop("moved");
  EXPECT_TRUE(run_until([&] { return link.why_lost() == "Server closed the connection"; }))
      << link.why_lost();
}

TEST_F(ClosedRedisLinkTest, SaysWhatTheServerSaidBeforeItClosed) {
  const auto server = tcp_server();
  server->answer = "-ERR max number of clients reached\r\n";
  EXPECT_TRUE(why_lost().ends_with("; Redis said: ERR max number of clients reached")) << why_lost();
}

TEST_F(ClosedRedisLinkTest, DoesNotAskForTlsAtAUnixSocketOrAtAPortWithoutAServer) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path("closing.sock").copy(address.sun_path, sizeof address.sun_path - 1);
  ClosingServer server(loop_, reinterpret_cast<sockaddr*>(&address), sizeof address);
  rule_.endpoint.unix_path = path("closing.sock");
  EXPECT_EQ(why_lost().find("TLS"), std::string::npos) << why_lost();
  rule_.endpoint = {.unix_path = {}, .host = "127.0.0.1", .port = 1};
  EXPECT_EQ(why_lost(), "Connection refused");
}

}  // namespace
}  // namespace tailgate
