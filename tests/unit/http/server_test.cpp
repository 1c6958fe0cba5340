#include "gateway/http/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "tests/support/http_fixture.h"

namespace tailgate {
namespace {

using testing::RawClient;

class HttpServerTest : public testing::HttpTest {};

// Another process that says that it accepts on a socket, until it is destroyed.
class Successor {
 public:
  explicit Successor(const Socket& socket) {
    std::array<int, 2> ready{};
    EXPECT_EQ(pipe(ready.data()), 0);
    child_ = fork();
    if (child_ == 0) {
      socket.say_accepting(true);
      if (write(ready[1], "x", 1) == 1) pause();
      _exit(0);
    }
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
  }
  ~Successor() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

 private:
  pid_t child_;
};

TEST_F(HttpServerTest, LeavesEachConnectionToASuccessorThatAccepts) {
  server_.reset();
  auto socket = listen_unix({.path = path("shared.sock"), .mode = 0600, .group = {}});
  ASSERT_TRUE(socket) << socket.error();
  const Socket shared(fcntl(socket->fd(), F_DUPFD_CLOEXEC, 0));
  HttpServer server(loop_, std::move(*socket),
                    [](std::unique_ptr<Exchange> exchange) { exchange->answer(200, {}, "old"); });
  server.start();
  server.leave_to_successor();
  RawClient alone(path("shared.sock"));
  alone.send(get("/1"));
  EXPECT_TRUE(run_until_received(alone, "old"));
  {
    const Successor successor(shared);
    RawClient left(path("shared.sock"));
    left.send(get("/2"));
    run_for(std::chrono::milliseconds(200));
    EXPECT_EQ(left.received(), "");
    EXPECT_TRUE(shared.has_waiting_connection());
  }
  RawClient again(path("shared.sock"));
  again.send(get("/3"));
  EXPECT_TRUE(run_until_received(again, "old"));
  EXPECT_FALSE(shared.has_waiting_connection());
}

TEST_F(HttpServerTest, LeavesConnectionsInTheKernelAfterItStoppedAccepting) {
  server_->stop_accepting();
  RawClient late = client();
  late.send(get("/1"));
  run_for(std::chrono::milliseconds(100));
  EXPECT_EQ(late.received(), "");
}

TEST_F(HttpServerTest, MayBeDestroyedWithConnectionsInEveryState) {
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

TEST_F(HttpServerTest, ClosesConnectionsBeyondItsShareOfDescriptors) {
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
  while (clients.size() < 30)
    clients.push_back(client());  // takes two descriptors: both ends are in this process
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

}  // namespace
}  // namespace tailgate
