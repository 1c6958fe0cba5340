#include "gateway/http/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <random>

#include "tests/support/loop_fixture.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;

// A client that sends what it is told and keeps what comes.
class RawClient {
 public:
  explicit RawClient(const std::string& path)
      : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  RawClient(RawClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  RawClient(const RawClient&) = delete;
  ~RawClient() {
    if (fd_ >= 0) close(fd_);
  }

  // How much of it the other side's kernel took.
  std::size_t send(std::string_view text) {
    const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }
  void half_close() const { (void)shutdown(fd_, SHUT_WR); }
  const std::string& got() {
    std::array<char, 65536> bytes{};
    ssize_t length = 0;
    while ((length = recv(fd_, bytes.data(), bytes.size(), 0)) > 0)
      got_.append(bytes.data(), static_cast<std::size_t>(length));
    closed_ = closed_ || length == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
    return got_;
  }
  bool closed() {
    (void)got();
    return closed_;
  }

 private:
  int fd_;
  std::string got_;
  bool closed_ = false;
};

class HttpServerTest : public testing::LoopTest, private Exchange::Observer {
 protected:
  void on_gone(Exchange::Gone /*gone*/) override { ++gone_; }

  void SetUp() override { serve(); }

  void serve(const HttpTimes& times = {}) {
    server_.reset();
    auto socket = listen_unix({.path = path("server.sock"), .mode = 0600, .group = {}});
    ASSERT_TRUE(socket) << socket.error();
    server_ = std::make_unique<HttpServer>(
        loop_, std::move(*socket),
        [this](std::unique_ptr<Exchange> exchange) {
          targets_.emplace_back(std::string(exchange->method()) + ' ' + std::string(exchange->target()));
          if (keep_) {
            exchange->watch(*this);
            kept_.push_back(std::move(exchange));
          } else {
            exchange->answer(200, {}, body_);
          }
        },
        DescriptorShare::kServed, times);
    server_->start();
  }

  RawClient client() const { return RawClient(path("server.sock")); }
  static std::string get(const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n";
  }

  std::unique_ptr<HttpServer> server_;
  std::vector<std::unique_ptr<Exchange>> kept_;  // after the server: they die before it
  std::vector<std::string> targets_;
  std::string body_ = "ok";
  bool keep_ = false;
  int gone_ = 0;
};

TEST_F(HttpServerTest, AnswersRequestsThatCameTogetherOneByOne) {
  RawClient one = client();
  one.send(get("/1") + "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET " +
           get("/3").substr(0, 20));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 2; }));
  one.send(get("/3").substr(20));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 3; }));
  EXPECT_EQ(targets_, (std::vector<std::string>{"GET /1", "POST /2", "GET /3"}));
  EXPECT_EQ(server_->connections(), 1U);
}

TEST_F(HttpServerTest, RefusesASecondRequestAsItWouldTheFirst) {
  RawClient one = client();
  one.send(get("/1") + "GET /2 HTTP/1.1\r\nHost : x\r\n\r\n");
  EXPECT_TRUE(run_until([&] { return one.got().find("HTTP/1.1 400 ") != std::string::npos; }));
  EXPECT_EQ(targets_.size(), 1U);
  EXPECT_NE(one.got().find("\r\n\r\n{\"detail\":\"A header line"), std::string::npos) << one.got();
}

TEST_F(HttpServerTest, FreesAConnectionThatSaysNothing) {
  serve({.request = milliseconds(60)});
  RawClient one = client();
  EXPECT_TRUE(run_until([&] { return server_->connections() == 1; }));
  EXPECT_TRUE(run_until([&] { return server_->connections() == 0; }));
  EXPECT_TRUE(one.closed());
  EXPECT_EQ(one.got(), "");
}

TEST_F(HttpServerTest, FreesAConnectionThatSaysAByteNowAndThen) {
  serve({.request = milliseconds(150), .farewell = milliseconds(60)});
  RawClient one = client();
  const std::string head = "GET / HTTP/1.1\r\nHost: " + std::string(100'000, 'x');
  std::size_t sent = 0;
  bool accepted = false;
  const auto begun = Loop::now();
  EXPECT_TRUE(run_until([&] {
    if (!one.closed()) sent += one.send(head.substr(sent, 1));
    accepted = accepted || server_->connections() == 1;
    return accepted && server_->connections() == 0;
  }));
  EXPECT_GE(Loop::now() - begun, milliseconds(150));
  EXPECT_TRUE(one.got().starts_with("HTTP/1.1 408 ")) << one.got();
  EXPECT_TRUE(one.closed());
}

TEST_F(HttpServerTest, FreesAConnectionWhoseBodyDoesNotCome) {
  serve({.request = milliseconds(60), .farewell = milliseconds(20)});
  RawClient one = client();
  one.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc");
  EXPECT_TRUE(run_until([&] { return one.closed(); }));
  EXPECT_TRUE(one.got().starts_with("HTTP/1.1 408 ")) << one.got();
  EXPECT_TRUE(targets_.empty());
  EXPECT_TRUE(run_until([&] { return server_->connections() == 0; }));
}

TEST_F(HttpServerTest, LetsAnIdleConnectionWaitLongerThanAHead) {
  serve({.request = milliseconds(50), .idle = milliseconds(400)});
  RawClient one = client();
  one.send(get("/1"));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 1; }));
  run_for(milliseconds(150));
  EXPECT_FALSE(one.closed());
  one.send(get("/2"));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 2; }));
  EXPECT_TRUE(run_until([&] { return one.closed(); }));
  EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(HttpServerTest, GivesASlowReaderItsWholeAnswer) {
  serve({.idle = milliseconds(50), .answer_stalled = milliseconds(2000)});
  body_ = std::string(3'000'000, 'x');
  RawClient one = client();
  one.send(get("/1"));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 1; }));
  run_for(milliseconds(200));
  EXPECT_TRUE(run_until([&] { return one.got().size() > body_.size(); }));
}

TEST_F(HttpServerTest, FreesAConnectionThatTakesNoByteOfItsAnswer) {
  serve({.answer_stalled = milliseconds(60)});
  body_ = std::string(3'000'000, 'x');
  RawClient one = client();
  one.send(get("/1"));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 1; }));
  EXPECT_TRUE(run_until([&] { return server_->connections() == 0; }));
}

// What the kernel holds of a unix socket besides.
constexpr std::size_t kKernel = 1U << 20;

TEST_F(HttpServerTest, ReadsAheadOnlySoFarWhileARequestIsLookedUp) {
  keep_ = true;
  RawClient one = client();
  one.send(get("/1"));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 1; }));
  std::size_t sent = 0;
  for (int i = 0; i < 120; ++i) {
    sent += one.send(std::string(16384, 'x'));
    run_for(milliseconds(1));
  }
  EXPECT_LT(sent, kKernel + 65536);
  kept_.clear();
  EXPECT_EQ(server_->connections(), 0U);
  run_for(milliseconds(5));
}

TEST_F(HttpServerTest, ReadsAheadOnlySoFarWhileAnAnswerWaits) {
  body_ = std::string(1'000'000, 'x');
  RawClient one = client();
  std::string many;
  while (many.size() < 16384) many += get("/page");
  std::size_t sent = 0;
  for (int i = 0; i < 120; ++i) {
    sent += one.send(many);
    run_for(milliseconds(1));
  }
  EXPECT_EQ(targets_.size(), 1U);
  EXPECT_LT(sent, kKernel + 65536);
}

TEST_F(HttpServerTest, NoticesAClientThatLeavesAfterItHasSentMore) {
  keep_ = true;
  {
    RawClient one = client();
    one.send(get("/1") + get("/2"));
    EXPECT_TRUE(run_until([&] { return targets_.size() == 1; }));
    one.send("more");
    run_for(milliseconds(20));
    EXPECT_EQ(gone_, 0);
  }
  EXPECT_TRUE(run_until([&] { return gone_ == 1; }));
  EXPECT_EQ(server_->connections(), 0U);
  EXPECT_EQ(targets_.size(), 1U);
  kept_.clear();
}

TEST_F(HttpServerTest, DiesWithConnectionsInEveryState) {
  keep_ = true;
  std::vector<RawClient> clients;
  for (const std::string& text :
       {std::string(), std::string("GET"), get("/1"), get("/1") + get("/2"), std::string("\x01"),
        std::string("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc")}) {
    clients.push_back(client());
    clients.back().send(text);
  }
  EXPECT_TRUE(run_until([&] { return targets_.size() == 2 && server_->connections() == 6; }));
  kept_.clear();
  server_.reset();
}

TEST_F(HttpServerTest, ClosesAtOnceWhatComesPastItsShareOfDescriptors) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest = fcntl(0, F_DUPFD, 0);
  close(lowest);
  rlimit small = before;
  small.rlim_cur = static_cast<rlim_t>(lowest + 40) * 2;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &small), 0);
  std::vector<RawClient> clients;
  const auto closed = [&] {
    return std::count_if(clients.begin(), clients.end(), [](RawClient& one) { return one.closed(); });
  };
  while (clients.size() < 30) clients.push_back(client());  // each takes two, the server's end among them
  EXPECT_TRUE(run_until([&] { return server_->connections() + server_->turned_away() == 30; }));
  EXPECT_GT(server_->turned_away(), 0U);
  EXPECT_GT(server_->connections(), 5U);
  EXPECT_TRUE(run_until([&] { return closed() == static_cast<long>(server_->turned_away()); }));
  clients.clear();
  EXPECT_TRUE(run_until([&] { return server_->connections() == 0; }));
  RawClient one = client();
  one.send(get("/1"));
  EXPECT_TRUE(run_until([&] { return targets_.size() == 1; }));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

// Whatever the head is made into, the answer is the handler's or a refusal of ours.
TEST_F(HttpServerTest, NeverLetsEvhttpSpeakForItself) {
  serve({.request = milliseconds(20), .farewell = milliseconds(1)});
  std::mt19937 random(7);
  const auto any = [&](std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random);
  };
  const std::array<std::string, 8> heads = {
      get("/a?b=%41#c"),
      "GET http://u@[::1]:80/a HTTP/1.1\r\nHost: x\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      "POST //h:1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
      "PROPFIND a:b HTTP/1.1\r\nHost: x:1\r\n\r\n",
      "HEAD /%00%2f..//./ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
      "TRACE ?x HTTP/1.1\r\nHost: \r\nTE: trailers\r\n\r\n",
      "DELETE mailto:x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  };
  const std::string spice = " \t:/?#[]@%\\\"{}<>|^`*0aZ\x80\xff";
  std::size_t served = 0;
  std::size_t refused = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<RawClient> clients;
    for (int i = 0; i < 50; ++i) {
      std::string head = heads[any(heads.size())];
      for (std::size_t n = any(4); n > 0; --n) {
        const std::size_t at = any(head.size());
        if (any(3) == 0)
          head.erase(at, 1 + any(3));
        else if (any(2) == 0)
          head[at] = spice[any(spice.size())];
        else
          head.insert(at, 1 + any(3), spice[any(spice.size())]);
      }
      clients.push_back(client());
      clients.back().send(head);
      clients.back().half_close();
    }
    EXPECT_TRUE(run_until([&] {
      return server_->connections() == 0 &&
             std::all_of(clients.begin(), clients.end(), [](RawClient& one) { return one.closed(); });
    }));
    for (RawClient& one : clients) {
      const std::string& got = one.got();
      EXPECT_EQ(got.find("<"), std::string::npos) << got;
      served += got.starts_with("HTTP/1.1 200") || got.starts_with("HTTP/1.0 200") ? 1 : 0;
      refused += got.find("{\"detail\":") != std::string::npos ? 1 : 0;
    }
  }
  EXPECT_GT(refused, 300U);
  EXPECT_GT(targets_.size(), 300U) << served;
}

}  // namespace
}  // namespace tailgate
