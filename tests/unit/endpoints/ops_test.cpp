#include "gateway/endpoints/ops.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/stream_fixture.h"

namespace tailgate {
namespace {

class OpsTest : public testing::StreamTest {
 protected:
  OpsTest() {
    auto socket = listen_unix({.path = path("ops.sock"), .mode = 0600, .group = {}});
    server_ = std::make_unique<HttpServer>(
        loop_, std::move(*socket),
        [this](std::unique_ptr<Exchange> exchange) { ops_.handle_request(std::move(exchange)); });
    server_->start();
  }

  testing::HttpClient ask(std::string_view target, std::string_view method = "GET") {
    testing::HttpClient client(path("ops.sock"), target, {}, method);
    EXPECT_TRUE(run_until([&] { return client.raw().find("\r\n\r\n") != std::string::npos; }));
    return client;
  }

  int drains_ = 0;
  Keys keys_{loop_, resolver_, {config_, &config_->providers}};
  std::unique_ptr<HttpServer> server_;
  ReadCheck read_check_{
      loop_,
      {.channels = channels_, .records = records_link_, .logs = logs_link_, .pages = pages_link_},
      config_->routes,
      "sweep"};
  Ops ops_{{&channels_.link(), &records_link_, &logs_link_, &pages_link_},
           read_check_,
           keys_,
           drain_,
           [](MetricsText& out) { out.gauge("a", "A.", 1); },
           [this] { ++drains_; }};
};

TEST_F(OpsTest, IsReadyUntilItDrains) {
  ASSERT_TRUE(run_until([this] { return read_check_.passed(); }));
  EXPECT_EQ(ask("/readyz").status(), 200);
  drain_.settle();
  auto draining = ask("/readyz");
  EXPECT_EQ(draining.status(), 503);
  EXPECT_TRUE(draining.got("\"status\":\"draining\""));
  EXPECT_EQ(ask("/healthz").status(), 200);
}

TEST_F(OpsTest, ClosesItsConnectionsWhileItHandsOver) {
  EXPECT_FALSE(ask("/readyz").got("Connection: close\r\n"));
  drain_.settle();
  drain_.hand_over();
  auto draining = ask("/readyz");
  EXPECT_EQ(draining.status(), 503);
  EXPECT_TRUE(draining.got("Connection: close\r\n")) << draining.raw();
}

TEST_F(OpsTest, StaysReadyWhenRedisIsLostAndReportsItInTheBody) {
  ASSERT_TRUE(run_until([this] { return read_check_.passed(); }));
  EXPECT_EQ(ask("/readyz").status(), 200);
  pages_path_.proxy.refuse();
  pages_path_.proxy.cut();
  ASSERT_TRUE(run_until([this] { return !pages_link_.up(); }));
  auto lost = ask("/readyz");
  EXPECT_EQ(lost.status(), 200);
  EXPECT_TRUE(lost.got("\"redis\":\"down\"")) << lost.raw();
}

TEST_F(OpsTest, IsNotReadyBeforeItReachedRedisOnce) {
  pages_path_.proxy.refuse();
  pages_path_.proxy.cut();
  ASSERT_TRUE(run_until([this] { return !pages_link_.up(); }));
  auto starting = ask("/readyz");
  EXPECT_EQ(starting.status(), 503);
  EXPECT_TRUE(starting.got("\"status\":\"starting\""));
}

TEST_F(OpsTest, IsNotReadyBeforeEachKindOfReadIsAnsweredAndSaysWhichOneIsRefused) {
  redis("ACL SETUSER default -xrevrange");
  ASSERT_TRUE(run_until([this] { return !read_check_.why().empty(); }));
  auto starting = ask("/readyz");
  EXPECT_EQ(starting.status(), 503);
  EXPECT_TRUE(starting.got("\"redis\":\"up\",\"keys\":\"had\",\"why\":\"redis: XREVRANGE is refused: NOPERM"))
      << starting.raw();
  redis("ACL SETUSER default +xrevrange");
  ASSERT_TRUE(run_until([this] { return read_check_.passed(); }));
  EXPECT_EQ(ask("/readyz").status(), 200);
}

TEST_F(OpsTest, AnswersMetricsAsText) {
  auto client = ask("/metrics");
  EXPECT_EQ(client.status(), 200);
  EXPECT_TRUE(client.got("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_TRUE(run_until([&] { return client.got("# TYPE a gauge\na 1\n"); }));
}

TEST_F(OpsTest, DrainsByPostOnly) {
  EXPECT_EQ(ask("/drain").status(), 405);
  EXPECT_EQ(drains_, 0);
  EXPECT_EQ(ask("/drain", "POST").status(), 202);
  EXPECT_EQ(drains_, 1);
  EXPECT_EQ(ask("/metrics", "POST").status(), 405);
  EXPECT_EQ(ask("/nothing").status(), 404);
}

}  // namespace
}  // namespace tailgate
