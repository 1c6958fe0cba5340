#include "gateway/loop/resolver.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <latch>
#include <map>
#include <memory>
#include <set>

#include "gateway/http/fetch.h"
#include "gateway/redis/link.h"
#include "tests/support/loop_fixture.h"

namespace tailgate {
namespace {

using Addresses = Resolver::Addresses;
using std::chrono::milliseconds;

long threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

class ResolverTest : public testing::LoopTest {
 protected:
  ~ResolverTest() override {
    open_gate();
    EXPECT_TRUE(run_until([this] { return threads() == threads_before_; }));
  }

  // Writes the answer to answers_[host]: the addresses with spaces between them, or the error.
  std::unique_ptr<Resolver::Query> ask(Resolver& resolver, const std::string& host) {
    return resolver.lookup(host, [this, host](const Result<Addresses>& answer) {
      EXPECT_FALSE(answers_.contains(host)) << "answered twice";
      std::string& text = answers_[host];
      for (const std::string& address : answer ? *answer : Addresses{answer.error()})
        text += (text.empty() ? "" : " ") + address;
    });
  }
  std::string answer_to(Resolver& resolver, const std::string& host) {
    answers_.erase(host);
    const auto query = ask(resolver, host);
    EXPECT_FALSE(answers_.contains(host)) << "answered inside lookup()";
    EXPECT_TRUE(run_until([&] { return answers_.contains(host); }));
    return answers_[host];
  }

  // Every name has the same address, and a name that begins with "hang" blocks until open_gate().  The lookup
  // owns what it uses, because its thread may outlive the test.
  Resolver::Lookup fake() const {
    return [gate = gate_, calls = calls_](const std::string& host) -> Result<Addresses> {
      ++*calls;
      if (host.starts_with("hang")) gate->wait();
      return Addresses{"192.0.2.1"};
    };
  }
  void open_gate() {
    if (!gate_->try_wait()) gate_->count_down();
  }

  const long threads_before_ = threads();
  std::map<std::string, std::string> answers_;
  std::shared_ptr<std::latch> gate_ = std::make_shared<std::latch>(1);
  std::shared_ptr<std::atomic<int>> calls_ = std::make_shared<std::atomic<int>>(0);
};

TEST_F(ResolverTest, AnswersANumericAddressWithItselfAndWithoutAThread) {
  Resolver resolver(loop_, fake());
  EXPECT_EQ(answer_to(resolver, "192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(answer_to(resolver, "2001:db8::7"), "2001:db8::7");
  EXPECT_EQ(*calls_, 0);
}

TEST_F(ResolverTest, ResolvesLocalhost) {
  Resolver resolver(loop_);
  const std::string found = answer_to(resolver, "localhost");
  EXPECT_TRUE(found == "127.0.0.1" || found == "::1" || found == "::1 127.0.0.1" || found == "127.0.0.1 ::1")
      << found;
}

TEST_F(ResolverTest, SaysWhyANameWasNotFound) {
  Resolver resolver(loop_);
  EXPECT_EQ(answer_to(resolver, "an..empty.label"), gai_strerror(EAI_NONAME));
}

TEST_F(ResolverTest, AsksTheSystemAgainForEachQuery) {
  const std::string hosts = path("hosts");
  Resolver resolver(loop_, [hosts](const std::string& host) -> Result<Addresses> {
    std::ifstream file(hosts);
    std::string address;
    std::string name;
    while (file >> address >> name) {
      if (name == host) return Addresses{address};
    }
    return Error{"not there"};
  });
  EXPECT_EQ(answer_to(resolver, "redis.test"), "not there");
  write_file("hosts", "192.0.2.1 redis.test\n");
  EXPECT_EQ(answer_to(resolver, "redis.test"), "192.0.2.1");
  write_file("hosts", "192.0.2.2 redis.test\n");
  EXPECT_EQ(answer_to(resolver, "redis.test"), "192.0.2.2");
}

TEST_F(ResolverTest, NeverDeliversTheAnswerOfAWithdrawnQuery) {
  Resolver resolver(loop_, fake());
  ask(resolver, "192.0.2.7").reset();
  ask(resolver, "hang").reset();
  open_gate();
  EXPECT_EQ(answer_to(resolver, "other.test"), "192.0.2.1");
  run_for(milliseconds(20));
  EXPECT_EQ(answers_.size(), 1U);
}

TEST_F(ResolverTest, AllowsACallbackToWithdrawOtherQueriesForTheSameName) {
  Resolver resolver(loop_, fake());
  std::vector<std::unique_ptr<Resolver::Query>> queries(3);
  int answers = 0;
  for (auto& query : queries) {
    query = resolver.lookup("redis.test", [&](const Result<Addresses>&) {
      ++answers;
      queries.clear();
    });
  }
  EXPECT_TRUE(run_until([&] { return answers > 0; }));
  run_for(milliseconds(20));
  EXPECT_EQ(answers, 1);
}

TEST_F(ResolverTest, IsDestroyedAtOnceWhileALookupHangs) {
  auto resolver = std::make_unique<Resolver>(loop_, fake());
  auto query = ask(*resolver, "hang");
  EXPECT_TRUE(run_until([this] { return *calls_ == 1; }));
  query.reset();
  resolver.reset();
  open_gate();
  EXPECT_TRUE(run_until([this] { return threads() == threads_before_; }));
  EXPECT_TRUE(answers_.empty());
}

TEST_F(ResolverTest, FailsAQueryAtItsDeadline) {
  Resolver resolver(loop_, fake(), milliseconds(30));
  EXPECT_EQ(answer_to(resolver, "hang"), "no answer within 30 ms");
  open_gate();
  run_for(milliseconds(20));
}

TEST_F(ResolverTest, AnswersOtherNamesWhileOneHangs) {
  Resolver resolver(loop_, fake());
  const auto query = ask(resolver, "hang");
  EXPECT_EQ(answer_to(resolver, "redis.test"), "192.0.2.1");
  EXPECT_FALSE(answers_.contains("hang"));
  open_gate();
  EXPECT_TRUE(run_until([this] { return answers_.contains("hang"); }));
}

// A lookup may take longer than a client waits.  The client's retry must get its answer.
TEST_F(ResolverTest, GivesALateAnswerToTheNextQueryForTheName) {
  Resolver resolver(loop_, fake());
  ask(resolver, "hang").reset();
  EXPECT_TRUE(run_until([this] { return *calls_ == 1; }));
  const auto again = ask(resolver, "hang");
  open_gate();
  EXPECT_TRUE(run_until([this] { return answers_.contains("hang"); }));
  EXPECT_EQ(*calls_, 1);
}

TEST_F(ResolverTest, StartsAtMostFourThreadsAndEndsThem) {
  Resolver resolver(loop_, fake());
  std::vector<std::unique_ptr<Resolver::Query>> queries;
  for (int n = 0; n < 6; ++n) queries.push_back(ask(resolver, "hang" + std::to_string(n)));
  EXPECT_TRUE(run_until([this] { return *calls_ == Resolver::kMostThreads; }));
  run_for(milliseconds(20));
  EXPECT_EQ(*calls_, Resolver::kMostThreads);
  EXPECT_EQ(threads() - threads_before_, Resolver::kMostThreads);
  open_gate();
  EXPECT_TRUE(run_until([this] { return answers_.size() == 6; }));
  EXPECT_TRUE(run_until([this] { return threads() == threads_before_; }));
}

TEST_F(ResolverTest, LeavesSignalsToTheThreadOfTheLoop) {
  Resolver resolver(loop_, [](const std::string& /*host*/) -> Result<Addresses> {
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    return Addresses{sigismember(&blocked, SIGTERM) == 1 ? "blocked" : "open"};
  });
  EXPECT_EQ(answer_to(resolver, "redis.test"), "blocked");
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  EXPECT_EQ(sigismember(&blocked, SIGTERM), 0);
}

// Listens on 127.0.0.1 and detects whether a client has connected.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 8), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = ntohs(address.sin_port);
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  bool has_client() const {
    const int client = accept(fd_, nullptr, nullptr);
    if (client >= 0) close(client);
    return client >= 0;
  }

  std::uint16_t port = 0;

 private:
  int fd_;
};

Resolver::Lookup always(const Addresses& addresses) {
  return [addresses](const std::string& /*host*/) { return addresses; };
}

// Nobody listens on 127.0.0.2.
const std::vector<Addresses> kOneIsDead = {{"127.0.0.2", "127.0.0.1"}, {"127.0.0.1", "127.0.0.2"}};

TEST_F(ResolverTest, LetsARedisLinkTryTheNextAddressIfOneFails) {
  for (const Addresses& addresses : kOneIsDead) {
    Resolver resolver(loop_, always(addresses));
    const Listener listener;
    RedisRule rule;
    rule.endpoint = {.unix_path = {}, .host = "moved.test", .port = listener.port};
    const RedisLink link(loop_, resolver, rule, "test", {});
    EXPECT_TRUE(run_until([&] { return listener.has_client(); })) << addresses[0];
  }
}

TEST_F(ResolverTest, LetsAnHttpFetchTryTheNextAddressIfOneFails) {
  for (const Addresses& addresses : kOneIsDead) {
    Resolver resolver(loop_, always(addresses));
    const Listener listener;
    const HttpFetch fetch(loop_, resolver,
                          {.to = {.unix_path = {}, .host = "moved.test", .port = listener.port}, .path = "/"},
                          [](const Result<HttpAnswer>&) {});
    EXPECT_TRUE(run_until([&] { return listener.has_client(); })) << addresses[0];
  }
}

}  // namespace
}  // namespace tailgate
