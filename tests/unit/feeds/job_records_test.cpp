#include "gateway/feeds/job_records.h"

#include <event2/event.h>
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/lagging_proxy.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_server.h"

namespace tailgate {
namespace {

using Texts = std::vector<std::string>;
using Found = JobRecords::Found;
using Proxy = testing::LaggingProxy;

class JobRecordsTest : public testing::LoopTest, protected JobRecords::Observer {
 protected:
  JobRecordsTest() {
    record_.user = "user_id";
    record_.status = "status";
    record_.terminal = {"failed"};
    record_.fields = {{.name = "result", .from = "result", .as = RecordField::As::kJson}};
    record_.list_fields();
    EXPECT_TRUE(run_until([this] { return link_.up(); }));
    worker_.reset(redisConnectUnix(redis_.socket_path().c_str()));
  }

  // A callback that adds to `found` what a look has found.
  JobRecords::Done into(Texts& found) {
    return [&found](Found how, const Record* record) {
      EXPECT_EQ(record != nullptr, how == Found::kRecord);
      switch (how) {
        case Found::kRecord:
          found.push_back(record->user + ' ' + record->status);
          break;
        case Found::kNothing:
          found.emplace_back("nothing");
          break;
        case Found::kWrongType:
          found.emplace_back("wrong type");
          break;
        case Found::kUnavailable:
          found.emplace_back("unavailable");
          break;
        case Found::kRefused:
          found.emplace_back("refused");
          break;
      }
    };
  }

  // Writes to job 1 at once, between two turns of the loop.
  void write(const char* field, const char* value) const {
    freeReplyObject(redisCommand(worker_.get(), "HSET job:1 %s %s", field, value));
  }

  void on_record(const Record& record) override { reported_.push_back(record.user + ' ' + record.status); }
  void on_record_gone() override { reported_.emplace_back("gone"); }

  struct Disconnect {
    void operator()(redisContext* context) const { redisFree(context); }
  };
  testing::RedisServer redis_{path("."), ""};
  Proxy proxy_{loop_, path("proxy.sock"), redis_.socket_path()};
  RedisRule rule_ = *parse_redis_url("unix:" + proxy_.path(), {});
  RecordRule record_;
  Deadlines deadlines_{loop_};
  Hub hub_{{.on_pending = [] {}, .on_skipped = [](const Route&) {}}};
  ChannelFeeds channels_{loop_, resolver_, rule_, hub_};
  RedisLink link_{loop_, resolver_, rule_, "test", {.on_up = [this] { records_.on_up(); }, .on_down = {}}};
  JobRecords records_{loop_, link_, channels_, deadlines_, "sweep"};
  std::unique_ptr<redisContext, Disconnect> worker_;
  const Record running_{.user = "alice", .session = {}, .status = "running", .terminal = false, .values = {}};
  Texts reported_;
};

TEST_F(JobRecordsTest, FindsARecordNoRecordAndAKeyOfAnotherType) {
  write("user_id", "alice");
  freeReplyObject(redisCommand(worker_.get(), "SET job:3 text"));
  Texts found;
  const auto one = records_.look(record_, "job:1", into(found));
  ASSERT_TRUE(run_until([&] { return !one.under_way(); }));
  const auto two = records_.look(record_, "job:2", into(found));
  ASSERT_TRUE(run_until([&] { return !two.under_way(); }));
  const auto three = records_.look(record_, "job:3", into(found));
  ASSERT_TRUE(run_until([&] { return !three.under_way(); }));
  EXPECT_EQ(found, (Texts{"alice ", "nothing", "wrong type"}));
}

TEST_F(JobRecordsTest, ReadsOnceForAllLooksAtAJobInOneTurn) {
  write("user_id", "alice");
  Texts found;
  std::vector<JobRecords::Look> looks;
  for (int i = 0; i < 3; ++i) looks.push_back(records_.look(record_, "job:1", into(found)));
  looks.push_back(records_.look(record_, "job:2", into(found)));
  ASSERT_TRUE(run_until([&] { return found.size() == 4; }));
  EXPECT_EQ(std::count(found.begin(), found.end(), "alice "), 3);
  EXPECT_EQ(records_.looks(), 2U);
  for (const auto& look : looks) EXPECT_FALSE(look.under_way());
}

// The record may change after the first look was sent, so the second look must not get its answer.
TEST_F(JobRecordsTest, ReadsAgainForALookThatBeginsDuringAnotherLook) {
  write("user_id", "alice");
  Texts found;
  proxy_.hold(Proxy::kToClient);
  const auto early = records_.look(record_, "job:1", into(found));
  ASSERT_TRUE(run_until([this] { return !proxy_.held(Proxy::kToClient).empty(); }));
  write("user_id", "bob");
  const auto late = records_.look(record_, "job:1", into(found));
  run_for(std::chrono::milliseconds(20));
  proxy_.release(Proxy::kToClient);
  ASSERT_TRUE(run_until([&] { return found.size() == 2; }));
  EXPECT_EQ(found, (Texts{"alice ", "bob "}));
}

TEST_F(JobRecordsTest, DeliversNothingToALookThatHasDied) {
  Texts found;
  { const auto dropped = records_.look(record_, "job:1", into(found)); }
  run_for(std::chrono::milliseconds(20));
  EXPECT_EQ(records_.looks(), 0U) << "a look without a waiter is not sent";
  proxy_.hold(Proxy::kToClient);
  {
    const auto sent = records_.look(record_, "job:1", into(found));
    ASSERT_TRUE(run_until([this] { return !proxy_.held(Proxy::kToClient).empty(); }));
  }
  proxy_.release(Proxy::kToClient);
  run_for(std::chrono::milliseconds(20));
  EXPECT_EQ(found, Texts{});
}

TEST_F(JobRecordsTest, AllowsACallbackToEndAnotherLookForTheSameAnswer) {
  JobRecords::Look second;
  int calls = 0;
  const auto first = records_.look(record_, "job:1", [&](Found, const Record*) {
    ++calls;
    second = {};
  });
  second = records_.look(record_, "job:1", [&](Found, const Record*) { ++calls; });
  ASSERT_TRUE(run_until([&] { return calls > 0; }));
  run_for(std::chrono::milliseconds(20));
  EXPECT_EQ(calls, 1);
}

TEST_F(JobRecordsTest, AnswersUnavailableWhenTheLinkIsLostAndWhileItIsDown) {
  Texts found;
  proxy_.hold(Proxy::kToClient);
  const auto one = records_.look(record_, "job:1", into(found));
  ASSERT_TRUE(run_until([this] { return !proxy_.held(Proxy::kToClient).empty(); }));
  proxy_.refuse();
  proxy_.cut();
  ASSERT_TRUE(run_until([&] { return found.size() == 1; }));
  const auto two = records_.look(record_, "job:1", into(found));
  ASSERT_TRUE(run_until([&] { return found.size() == 2; }));
  EXPECT_EQ(found, (Texts{"unavailable", "unavailable"}));
  EXPECT_EQ(records_.looks(), 1U);
}

TEST_F(JobRecordsTest, ReportsAChangeToEachObserverUntilItsWatchEnds) {
  struct Other final : JobRecords::Observer {
    void on_record(const Record& record) override { reported.push_back(record.status); }
    void on_record_gone() override {}
    Texts reported;
  };
  write("user_id", "alice");
  write("status", "running");
  Other other;
  Other ended;
  const JobRecords::Watch one = records_.watch(record_, "job:1", running_, *this);
  const JobRecords::Watch two = records_.watch(record_, "job:1", running_, other);
  { const JobRecords::Watch three = records_.watch(record_, "job:1", running_, ended); }
  ASSERT_TRUE(run_until([this] { return records_.looks() == 1; }));
  write("status", "paused");
  ASSERT_TRUE(run_until([this] { return !reported_.empty(); }));
  EXPECT_EQ(reported_, Texts{"alice paused"});
  EXPECT_EQ(other.reported, Texts{"paused"});
  EXPECT_EQ(ended.reported, Texts{});
}

TEST_F(JobRecordsTest, StopsLookingWhenTheLastWatchHasEnded) {
  { const JobRecords::Watch watch = records_.watch(record_, "job:1", running_, *this); }
  run_for(std::chrono::milliseconds(1300));
  EXPECT_EQ(records_.looks(), 0U);
}

// A stream may begin with a record that is older than the one that the first observer knows.
TEST_F(JobRecordsTest, ReportsTheRecordToAnObserverThatBeganWithAnOlderOne) {
  write("user_id", "alice");
  write("status", "paused");
  const JobRecords::Watch first = records_.watch(record_, "job:1", running_, *this);
  ASSERT_TRUE(run_until([this] { return reported_ == Texts{"alice paused"}; }));
  JobRecords::Watch second = records_.watch(record_, "job:1", running_, *this);
  ASSERT_TRUE(run_until([this] { return reported_.size() == 3; }));
  EXPECT_EQ(reported_, (Texts{"alice paused", "alice paused", "alice paused"}));
}

TEST_F(JobRecordsTest, ReportsAChangeThatHappenedWhileTheLinkWasDown) {
  write("user_id", "alice");
  write("status", "running");
  const JobRecords::Watch watch = records_.watch(record_, "job:1", running_, *this);
  ASSERT_TRUE(run_until([this] { return records_.looks() == 1; }));
  proxy_.refuse();
  proxy_.cut();
  ASSERT_TRUE(run_until([this] { return !link_.up(); }));
  write("status", "paused");
  proxy_.accept();
  ASSERT_TRUE(run_until([this] { return !reported_.empty(); }));
  EXPECT_EQ(reported_, Texts{"alice paused"});
}

TEST_F(JobRecordsTest, ReportsChangesOnly) {
  write("user_id", "alice");
  write("status", "running");
  const JobRecords::Watch watch = records_.watch(record_, "job:1", running_, *this);
  ASSERT_TRUE(run_until([this] { return records_.looks() == 3; }));
  EXPECT_EQ(reported_, Texts{});
  write("user_id", "bob");
  ASSERT_TRUE(run_until([this] { return !reported_.empty(); }));
  ASSERT_TRUE(run_until([looks = records_.looks(), this] { return records_.looks() == looks + 2; }));
  EXPECT_EQ(reported_, Texts{"bob running"});
}

TEST_F(JobRecordsTest, ReportsThatARecordHasBeenGoneForAsLongAsGivenOnly) {
  JobRecords records(loop_, link_, channels_, deadlines_, "sweep", std::chrono::milliseconds(1500));
  const JobRecords::Watch watch = records.watch(record_, "job:1", running_, *this);
  const TimePoint begun = Loop::now();
  ASSERT_TRUE(run_until([this] { return !reported_.empty(); }));
  EXPECT_EQ(reported_[0], "gone");
  EXPECT_GE(Loop::now() - begun, std::chrono::milliseconds(1500));
}

TEST_F(JobRecordsTest, ReportsARecordThatTurnsIntoAnotherTypeAsGone) {
  JobRecords records(loop_, link_, channels_, deadlines_, "sweep", std::chrono::milliseconds(500));
  write("user_id", "alice");
  const auto watch = records.watch(record_, "1", running_, *this);
  ASSERT_TRUE(run_until([this] { return !reported_.empty(); }));
  reported_.clear();
  freeReplyObject(redisCommand(worker_.get(), "DEL job:1"));
  freeReplyObject(redisCommand(worker_.get(), "SET job:1 text"));
  ASSERT_TRUE(run_until([this] { return !reported_.empty(); }));
  EXPECT_EQ(reported_, Texts{"gone"});
}

TEST_F(JobRecordsTest, CountsTheTimeWithoutARecordAnewAfterEachRecord) {
  JobRecords records(loop_, link_, channels_, deadlines_, "sweep", std::chrono::milliseconds(1500));
  const JobRecords::Watch watch = records.watch(record_, "job:1", running_, *this);
  ASSERT_TRUE(run_until([&] { return records.looks() == 2; }));
  write("user_id", "alice");
  write("status", "running");
  ASSERT_TRUE(run_until([&] { return records.looks() == 3; }));
  freeReplyObject(redisCommand(worker_.get(), "DEL job:1"));
  ASSERT_TRUE(run_until([&] { return records.looks() == 4; }));
  const TimePoint gone = Loop::now();
  ASSERT_TRUE(run_until([this] { return !reported_.empty(); }));
  EXPECT_EQ(reported_[0], "gone");
  EXPECT_GE(Loop::now() - gone, std::chrono::milliseconds(1400));
}

// A look at the watched fields finds "failed".  Before the second look, for all fields, the job runs again.
TEST_F(JobRecordsTest, ReportsTheEndOfAJobThatWasRestartedWhileItsFirstEndWasRead) {
  write("user_id", "alice");
  write("status", "failed");
  const JobRecords::Watch watch = records_.watch(record_, "job:1", running_, *this);
  // Runs single turns, to stop before the command of the second look is sent to Redis.
  for (const TimePoint end = Loop::now() + std::chrono::seconds(5);
       records_.looks() < 2 && Loop::now() < end;) {
    event_base_loop(loop_.base(), EVLOOP_ONCE);
  }
  ASSERT_EQ(records_.looks(), 2U);
  write("status", "running");
  ASSERT_TRUE(run_until([this] { return !reported_.empty(); }));
  write("status", "failed");
  ASSERT_TRUE(run_until([this] { return reported_.size() == 2; })) << "the second end";
  EXPECT_EQ(reported_, (Texts{"alice running", "alice failed"}));
}

}  // namespace
}  // namespace tailgate
