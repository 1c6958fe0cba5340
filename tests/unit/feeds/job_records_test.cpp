#include "gateway/feeds/job_records.h"

#include <event2/event.h>
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/loop_fixture.h"
#include "tests/support/redis_server.h"

namespace tailgate {
namespace {

using Texts = std::vector<std::string>;

class JobRecordsTest : public testing::LoopTest, protected JobRecords::Observer {
 protected:
  JobRecordsTest() {
    record_.key = "job:{id}";
    record_.user = "user_id";
    record_.status = "status";
    record_.terminal = {"failed"};
    record_.fields = {{.name = "result", .from = "result", .as = RecordField::As::kJson}};
    record_.list_fields();
    EXPECT_TRUE(run_until([this] { return link_.up(); }));
    worker_.reset(redisConnectUnix(redis_.socket_path().c_str()));
  }

  // At once, between two turns of the loop.
  void write(const char* field, const char* value) const {
    freeReplyObject(redisCommand(worker_.get(), "HSET job:1 %s %s", field, value));
  }

  void on_record(const Record& record) override { told_.push_back(record.user + ' ' + record.status); }
  void on_record_gone() override { told_.emplace_back("gone"); }

  struct Disconnect {
    void operator()(redisContext* context) const { redisFree(context); }
  };
  testing::RedisServer redis_{path("."), ""};
  RedisRule rule_ = *parse_redis_url("unix:" + redis_.socket_path(), {});
  RecordRule record_;
  Deadlines deadlines_{loop_};
  RedisLink link_{loop_, resolver_, rule_, "test", {}};
  JobRecords records_{loop_, link_, deadlines_};
  std::unique_ptr<redisContext, Disconnect> worker_;
  const Record running_{.user = "alice", .session = {}, .status = "running", .terminal = false, .values = {}};
  Texts told_;
};

TEST_F(JobRecordsTest, TellsAChangeAndNothingWhileThereIsNone) {
  write("user_id", "alice");
  write("status", "running");
  const JobRecords::Watch watch = records_.watch(record_, "1", running_, *this);
  ASSERT_TRUE(run_until([this] { return records_.looks() == 3; }));
  EXPECT_EQ(told_, Texts{});
  write("user_id", "bob");
  ASSERT_TRUE(run_until([this] { return !told_.empty(); }));
  ASSERT_TRUE(run_until([looks = records_.looks(), this] { return records_.looks() == looks + 2; }));
  EXPECT_EQ(told_, Texts{"bob running"});
}

// The record without its JSON said "failed"; the whole one, asked for then, says that the job runs again.
TEST_F(JobRecordsTest, TellsTheEndOfAJobThatRanAgainInTheMomentInWhichItsFirstEndWasRead) {
  write("user_id", "alice");
  write("status", "failed");
  const JobRecords::Watch watch = records_.watch(record_, "1", running_, *this);
  // Turn by turn, to stop before the second look, which is for the whole record, is written.
  for (const TimePoint end = Loop::now() + std::chrono::seconds(5);
       records_.looks() < 2 && Loop::now() < end;) {
    event_base_loop(loop_.base(), EVLOOP_ONCE);
  }
  ASSERT_EQ(records_.looks(), 2U);
  write("status", "running");
  ASSERT_TRUE(run_until([this] { return !told_.empty(); }));
  write("status", "failed");
  ASSERT_TRUE(run_until([this] { return told_.size() == 2; })) << "the end";
  EXPECT_EQ(told_, (Texts{"alice running", "alice failed"}));
}

}  // namespace
}  // namespace tailgate
