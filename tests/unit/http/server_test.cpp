#include "gateway/http/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "tests/support/http_fixture.h"

namespace tailgate {
namespace {

using testing::RawClient;

class HttpServerTest : public testing::HttpTest {};

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
