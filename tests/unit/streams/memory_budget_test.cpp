#include "gateway/streams/memory_budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/support/stream_fixture.h"

namespace tailgate {
namespace {

class MemoryBudgetTest : public testing::StreamTest {
 protected:
  // A client that reads nothing.  Its stream has a backlog of about two megabytes.
  testing::HttpClient open_behind() {
    auto client = get("/events/1");
    EXPECT_TRUE(opened(client));
    const std::string text(1'000'000, 'x');
    for (int i = 0; i < 3; ++i) redis("PUBLISH job:1:events %s", text.c_str());
    EXPECT_TRUE(run_until([this] { return largest_backlog() > 1'000'000; }));
    return client;
  }
  std::size_t largest_backlog() const {
    std::size_t most = 0;
    streams_.for_each([&](const ActiveRequest& stream) {
      if (stream.open()) most = std::max(most, stream.backlog());
    });
    return most;
  }
};

TEST_F(MemoryBudgetTest, HasNoBoundByDefault) {
  run_for(std::chrono::milliseconds(300));
  EXPECT_FALSE(memory_.is_tight());
}

TEST_F(MemoryBudgetTest, RefusesNewStreamsAboveThreeQuartersOfTheBound) {
  memory_bound_ = MemoryBudget::in_use() * 5 / 4;
  ASSERT_TRUE(run_until([this] { return memory_.is_tight(); }));
  auto client = get("/guarded/1", identity("alice", "guarded", "1"));
  EXPECT_TRUE(run_until([&] { return client.status() == 503; }));
  memory_bound_ = 0;
  EXPECT_TRUE(run_until([this] { return !memory_.is_tight(); }));
}

TEST_F(MemoryBudgetTest, CutsOnlyTheStreamWhoseClientIsBehind) {
  auto behind = open_behind();
  auto keeps_up = get("/events/2");
  ASSERT_TRUE(opened(keeps_up));
  memory_bound_ = MemoryBudget::in_use() - 1'000'000;
  ASSERT_TRUE(run_until([this] { return streams_.count() == 1; }));
  EXPECT_NE(metrics().find("reason=\"memory\"} 1\n"), std::string::npos) << metrics();
  memory_bound_ = 0;
  redis("PUBLISH job:2:events still");
  EXPECT_TRUE(run_until([&] { return keeps_up.got("still"); }));
}

}  // namespace
}  // namespace tailgate
