#include "gateway/loop/resolver.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "gateway/http/fetch.h"
#include "gateway/redis/link.h"
#include "tests/support/loop_fixture.h"

namespace tailgate {
namespace {

using Addresses = Resolver::Addresses;

class ResolverTest : public testing::LoopTest {
 protected:
  ResolverTest() { write_file("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"); }

  Resolver::Files files() const { return {.resolv_conf = path("resolv.conf"), .hosts = path("hosts")}; }
  // Another inode each time, as an editor or a container's runtime writes it.
  void write_hosts(const std::string& text) const {
    write_file("hosts.new", text);
    ASSERT_EQ(rename(path("hosts.new").c_str(), path("hosts").c_str()), 0);
  }
  Addresses found(Resolver& resolver, const std::string& host) {
    std::optional<Result<Addresses>> answer;
    const auto query = resolver.lookup(host, [&answer](Result<Addresses> told) { answer = std::move(told); });
    EXPECT_FALSE(answer) << "never from inside";
    EXPECT_TRUE(run_until([&answer] { return answer.has_value(); }));
    return answer && *answer ? **answer : Addresses();
  }
};

TEST_F(ResolverTest, HasANumericAddressForItsOwnAnswer) {
  Resolver resolver(loop_, files());
  EXPECT_EQ(found(resolver, "192.0.2.7"), Addresses{"192.0.2.7"});
  EXPECT_EQ(found(resolver, "2001:db8::7"), Addresses{"2001:db8::7"});
}

TEST_F(ResolverTest, GivesEveryAddressOfANameOnce) {
  write_hosts("192.0.2.1 redis.test\n192.0.2.2 redis.test\n192.0.2.1 redis.test\n");
  Resolver resolver(loop_, files());
  auto addresses = found(resolver, "redis.test");
  std::sort(addresses.begin(), addresses.end());
  EXPECT_EQ(addresses, (Addresses{"192.0.2.1", "192.0.2.2"}));
}

TEST_F(ResolverTest, NoticesThatAnAddressHasMoved) {
  write_hosts("192.0.2.1 redis.test\n");
  Resolver resolver(loop_, files());
  EXPECT_EQ(found(resolver, "redis.test"), Addresses{"192.0.2.1"});
  write_hosts("192.0.2.2 redis.test\n");
  EXPECT_EQ(found(resolver, "redis.test"), Addresses{"192.0.2.2"});
}

TEST_F(ResolverTest, FindsANameThatCameLater) {
  Resolver resolver(loop_, files());
  write_hosts("192.0.2.3 late.test\n");
  EXPECT_EQ(found(resolver, "late.test"), Addresses{"192.0.2.3"});
}

TEST_F(ResolverTest, LeavesAQuestionAloneThatTheFilesChangeUnder) {
  // Nobody answers on this port, so the question stays open until it is given up.
  Resolver resolver(loop_, files());
  bool answered = false;
  auto open = resolver.lookup("nobody.test", [&answered](const Result<Addresses>& told) {
    answered = true;
    EXPECT_FALSE(told);
  });
  write_hosts("192.0.2.4 other.test\n");
  EXPECT_EQ(found(resolver, "other.test"), Addresses{"192.0.2.4"});
  EXPECT_TRUE(run_until([&answered] { return answered; }));
}

TEST_F(ResolverTest, TellsNobodyWhoAsksNoMore) {
  write_hosts("192.0.2.1 redis.test\n");
  Resolver resolver(loop_, files());
  bool answered = false;
  resolver.lookup("redis.test", [&answered](const Result<Addresses>&) { answered = true; }).reset();
  run_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(answered);
}

// Listens, and says only whether somebody has come.
class Door {
 public:
  Door() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 8), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = ntohs(address.sin_port);
  }
  ~Door() { close(fd_); }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  bool knocked() const {
    const int guest = accept(fd_, nullptr, nullptr);
    if (guest >= 0) close(guest);
    return guest >= 0;
  }

  std::uint16_t port = 0;

 private:
  int fd_;
};

// Nobody listens on 127.0.0.2 there.
constexpr const char* kDeadThenAlive = "127.0.0.2 moved.test\n127.0.0.1 moved.test\n";
constexpr const char* kAliveThenDead = "127.0.0.1 moved.test\n127.0.0.2 moved.test\n";

TEST_F(ResolverTest, LeadsALinkToTheNextAddressWhereOneFails) {
  for (const char* hosts : {kDeadThenAlive, kAliveThenDead}) {
    write_hosts(hosts);
    Resolver resolver(loop_, files());
    const Door door;
    RedisRule rule;
    rule.endpoint = {.unix_path = {}, .host = "moved.test", .port = door.port};
    const RedisLink link(loop_, resolver, rule, "test", {});
    EXPECT_TRUE(run_until([&door] { return door.knocked(); })) << hosts;
  }
}

TEST_F(ResolverTest, LeadsAFetchToTheNextAddressWhereOneFails) {
  for (const char* hosts : {kDeadThenAlive, kAliveThenDead}) {
    write_hosts(hosts);
    Resolver resolver(loop_, files());
    const Door door;
    const HttpFetch fetch(loop_, resolver,
                          {.to = {.unix_path = {}, .host = "moved.test", .port = door.port}, .path = "/"},
                          [](const Result<HttpAnswer>&) {});
    EXPECT_TRUE(run_until([&door] { return door.knocked(); })) << hosts;
  }
}

TEST_F(ResolverTest, TellsAFetchOfItsLastAddressesFault) {
  write_hosts("127.0.0.2 moved.test\n127.0.0.3 moved.test\n");
  Resolver resolver(loop_, files());
  std::uint16_t port = 0;
  { port = Door().port; }
  std::string why;
  const HttpFetch fetch(
      loop_, resolver, {.to = {.unix_path = {}, .host = "moved.test", .port = port}, .path = "/"},
      [&why](const Result<HttpAnswer>& answer) { why = answer ? "answered" : answer.error(); });
  EXPECT_TRUE(run_until([&why] { return !why.empty(); }));
  EXPECT_EQ(why, "Connection refused");
}

}  // namespace
}  // namespace tailgate
