#include "gateway/streams/opening.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "tests/support/stream_fixture.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;
using Direction = testing::LaggingProxy::Direction;

class OpeningTest : public testing::StreamTest, protected Opening::Observer {
 protected:
  OpeningTest() {
    request_.config = config_;
    for (const Route& route : config_->routes) {
      if (route.name == "guarded") request_.route = &route;
    }
    request_.id = "1";
    request_.user = "alice";
    request_.parameters = std::make_unique<RequestParameters>();
  }

  bool is_ready() const override { return ready_; }
  void on_outcome(Access access, const Record* record) override {
    ++outcomes_;
    outcome_ = access;
    status_ = record == nullptr ? "" : record->status;
    if (dies_) opening_.reset();
  }
  void open(Opening::TimeLimits limits = {}) {
    Opening::Observer& self = *this;
    opening_ = std::make_unique<Opening>(sources_, request_, limits, self);
    opening_->advance();
  }
  bool has_outcome() {
    return run_until([this] { return outcome_.has_value(); });
  }

  const Opening::Sources sources_{
      .records = records_, .applications = applications_, .deadlines = deadlines_};
  Request request_;
  bool ready_ = true;
  bool dies_ = true;
  int outcomes_ = 0;
  std::optional<Access> outcome_;
  std::string status_;
  std::unique_ptr<Opening> opening_;
};

TEST_F(OpeningTest, AllowsTheOwner) {
  create_job("1");
  open();
  ASSERT_TRUE(has_outcome());
  EXPECT_EQ(outcome_, Access::kAllowed);
  EXPECT_EQ(status_, "running");
}

TEST_F(OpeningTest, DistinguishesAForeignJobFromAMissingOne) {
  open();
  ASSERT_TRUE(has_outcome());
  EXPECT_EQ(outcome_, Access::kNoRecord);
  outcome_.reset();
  redis("HSET job:1 user_id bob status running");
  open();
  ASSERT_TRUE(has_outcome());
  EXPECT_EQ(outcome_, Access::kForeign);
}

TEST_F(OpeningTest, WaitsForTheSource) {
  create_job("1");
  ready_ = false;
  open();
  run_for(milliseconds(30));
  EXPECT_EQ(records_.looks(), 0U);
  ready_ = true;
  opening_->advance();
  EXPECT_TRUE(has_outcome());
}

TEST_F(OpeningTest, ReadsAMissingRecordAgainWithinItsTime) {
  open({.record = milliseconds(2500)});
  ASSERT_TRUE(run_until([this] { return records_.looks() == 2; }));
  EXPECT_FALSE(outcome_.has_value());
  create_job("1");
  ASSERT_TRUE(has_outcome());
  EXPECT_EQ(outcome_, Access::kAllowed);
}

TEST_F(OpeningTest, LooksForAMissingRecordForLongerThanItWaitsForRedis) {
  const TimePoint began = Loop::now();
  open({.redis = milliseconds(150), .record = milliseconds(500)});
  ASSERT_TRUE(has_outcome());
  EXPECT_EQ(outcome_, Access::kNoRecord) << "Redis has answered all the time";
  EXPECT_GE(Loop::now() - began, milliseconds(500));
}

TEST_F(OpeningTest, IsUnavailableIfRedisFallsSilentWhileARecordIsMissing) {
  open({.redis = milliseconds(300), .record = milliseconds(2500)});
  ASSERT_TRUE(run_until([this] { return records_.looks() == 2; }));
  const TimePoint silent = Loop::now();
  records_path_.proxy.hold(Direction::kToClient);
  ASSERT_TRUE(has_outcome());
  EXPECT_EQ(outcome_, Access::kUnavailable);
  EXPECT_LT(Loop::now() - silent, milliseconds(1500));
}

TEST_F(OpeningTest, WaitsWithoutALimitWhileALinkIsDownButNotWhileRedisRefusesTheRecord) {
  create_job("1");
  redis("ACL SETUSER default -hmget");
  const TimePoint began = Loop::now();
  open();
  ASSERT_TRUE(has_outcome());
  EXPECT_EQ(outcome_, Access::kUnavailable);
  EXPECT_GE(Loop::now() - began, config_->redis.wait);
  outcome_.reset();
  redis("ACL SETUSER default +hmget");
  records_path_.proxy.refuse();
  records_path_.proxy.cut();
  open();
  run_for(config_->redis.wait + milliseconds(1200));
  EXPECT_FALSE(outcome_.has_value());
  records_path_.proxy.accept();
  ASSERT_TRUE(has_outcome());
  EXPECT_EQ(outcome_, Access::kAllowed);
}

TEST_F(OpeningTest, WaitsForAnApplicationForLongerThanForRedis) {
  for (const Route& route : config_->routes) {
    if (route.name == "asked") request_.route = &route;
  }
  testing::RawServer application(loop_, path("app.sock"), "");
  application.silent = true;
  open({.redis = milliseconds(150)});
  run_for(milliseconds(500));
  EXPECT_EQ(outcomes_, 0) << "record.asked.timeout_s is 3 s";
}

TEST_F(OpeningTest, TakesAsLongForAForeignJobAsForAMissingOne) {
  redis("HSET job:1 user_id bob status running");
  const TimePoint began = Loop::now();
  open({.record = milliseconds(300)});
  ASSERT_TRUE(has_outcome());
  EXPECT_EQ(outcome_, Access::kForeign);
  EXPECT_GE(Loop::now() - began, milliseconds(300));
}

TEST_F(OpeningTest, IsUnavailableOnceItsTimeIsOver) {
  records_path_.proxy.hold(Direction::kToClient);
  open({.redis = milliseconds(200)});
  ASSERT_TRUE(has_outcome());
  EXPECT_EQ(outcome_, Access::kUnavailable);
}

TEST_F(OpeningTest, ReadsAgainWhenTheLinkIsLostDuringTheRead) {
  create_job("1");
  records_path_.proxy.hold(Direction::kToClient);
  open({.redis = milliseconds(4000)});
  ASSERT_TRUE(run_until([this] { return !records_path_.proxy.held(Direction::kToClient).empty(); }));
  records_path_.proxy.cut();
  records_path_.proxy.release(Direction::kToClient);
  ASSERT_TRUE(has_outcome());
  EXPECT_EQ(outcome_, Access::kAllowed);
}

TEST_F(OpeningTest, ReadsTheRecordAgainAfterTryAgain) {
  create_job("1");
  dies_ = false;
  open();
  ASSERT_TRUE(has_outcome());
  opening_->advance();
  run_for(milliseconds(20));
  EXPECT_EQ(outcomes_, 1) << "advance() does nothing after the outcome";
  redis("HSET job:1 status ready");
  opening_->try_again();
  ASSERT_TRUE(run_until([this] { return outcomes_ == 2; }));
  EXPECT_EQ(status_, "ready");
}

TEST_F(OpeningTest, ForgetsAReadWhenItRestarts) {
  create_job("1");
  records_path_.proxy.hold(Direction::kToClient);
  open();
  ASSERT_TRUE(run_until([this] { return !records_path_.proxy.held(Direction::kToClient).empty(); }));
  opening_->restart();
  records_path_.proxy.release(Direction::kToClient);
  run_for(milliseconds(50));
  EXPECT_EQ(outcomes_, 0);
  opening_->advance();
  EXPECT_TRUE(has_outcome());
}

}  // namespace
}  // namespace tailgate
