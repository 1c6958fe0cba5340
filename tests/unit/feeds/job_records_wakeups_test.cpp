#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/feeds/job_records.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_server.h"

namespace tailgate {
namespace {

using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

// JobRecords with announcements: what it reports of a watched job's record, and when.
class JobRecordsWakeupsTest : public testing::LoopTest, protected JobRecords::Observer {
 protected:
  JobRecordsWakeupsTest() {
    record_.user = "user_id";
    record_.status = "status";
    record_.terminal = {"failed"};
    record_.list_fields();
    EXPECT_TRUE(run_until([this] {
      worker_.reset(redisConnectUnix(redis_.socket_path().c_str()));
      return worker_->err == 0;
    }));
    redis("HSET job:1 user_id alice status running");
  }

  void start(const std::string& wakeups, std::chrono::milliseconds gone_after = 10s) {
    channels_.emplace(loop_, resolver_, rule_, hub_);
    link_.emplace(loop_, resolver_, rule_, "records", RedisLink::Events{.on_up = [this] {
                    if (records_) records_->on_up();
                  }});
    records_.emplace(loop_, *link_, *channels_, deadlines_, wakeups, gone_after);
    ASSERT_TRUE(run_until([this] { return link_->up() && channels_->up(); }));
    watch_ = records_->watch(record_, "job:1", running_, *this);
  }

  void redis(const std::string& command) const {
    freeReplyObject(redisCommand(worker_.get(), command.c_str()));
  }
  // Runs the command.  True if something is reported sooner than a look without an announcement could find
  // it.
  bool reports_at_once(const std::string& command) {
    reported_.clear();
    redis(command);
    const TimePoint begun = Loop::now();
    return run_until([this] { return !reported_.empty(); }) && Loop::now() - begun < 800ms;
  }
  // Waits for the reads of the beginning.
  void settle() {
    run_for(1100ms);
    reported_.clear();
  }

  void on_record(const Record& record) override { reported_.push_back(record.user + ' ' + record.status); }
  void on_record_gone() override { reported_.emplace_back("gone"); }

  struct Disconnect {
    void operator()(redisContext* context) const { redisFree(context); }
  };
  testing::RedisServer redis_{path("."), ""};
  RedisRule rule_ = *parse_redis_url("unix:" + redis_.socket_path(), {});
  RecordRule record_;
  Deadlines deadlines_{loop_};
  Hub hub_{{.on_pending = [] {}, .on_skipped = [](const Route&) {}}};
  std::unique_ptr<redisContext, Disconnect> worker_;
  std::optional<ChannelFeeds> channels_;
  std::optional<RedisLink> link_;
  std::optional<JobRecords> records_;
  JobRecords::Watch watch_;
  const Record running_{.user = "alice", .session = {}, .status = "running", .terminal = false, .values = {}};
  Texts reported_;
};

TEST_F(JobRecordsWakeupsTest, ReportsAChangeAtOnceIfRedisTracksTheRecord) {
  start("auto");
  ASSERT_TRUE(run_until([this] { return records_->woken_by() == "tracking"; }));
  settle();
  EXPECT_TRUE(reports_at_once("HSET job:1 status paused"));
  EXPECT_EQ(reported_, Texts{"alice paused"});
  EXPECT_TRUE(reports_at_once("HSET job:1 status failed"));
  EXPECT_EQ(reported_, Texts{"alice failed"});
}

TEST_F(JobRecordsWakeupsTest, ReportsAChangeAtOnceIfRedisNotifies) {
  redis("CONFIG SET notify-keyspace-events Kh");
  start("notifications");
  settle();
  ASSERT_TRUE(run_until([this] {
    redis("HINCRBY job:1 progress 1");
    redis("HSET job:1 status " + std::to_string(Loop::now().time_since_epoch().count()));
    return records_->woken_by() == "notifications";
  }));
  run_for(6s);  // until several changes in quick succession are read at once again
  EXPECT_TRUE(reports_at_once("HSET job:1 status paused"));
}

TEST_F(JobRecordsWakeupsTest, ReportsAChangeWithinAboutASecondInModeSweep) {
  redis("CONFIG SET notify-keyspace-events Kh");
  start("sweep");
  settle();
  for (const std::string status : {"paused", "failed"}) {
    redis("HSET job:1 status " + status);
    const TimePoint begun = Loop::now();
    ASSERT_TRUE(run_until([&] { return !reported_.empty() && reported_.back() == "alice " + status; }));
    EXPECT_LT(Loop::now() - begun, 2s);
  }
  EXPECT_EQ(records_->woken_by(), "sweep");
}

TEST_F(JobRecordsWakeupsTest, LooksAtAnUnchangedRecordOnceAtTheBeginningWhileItIsTracked) {
  start("auto");
  ASSERT_TRUE(run_until([this] { return records_->woken_by() == "tracking"; }));
  settle();
  const std::uint64_t looks = records_->looks();
  run_for(2s);
  EXPECT_EQ(records_->looks(), looks);
}

TEST_F(JobRecordsWakeupsTest, ReportsThatARecordIsGoneAfterTheGivenTimeAlthoughNothingIsAnnounced) {
  start("auto", 1500ms);
  ASSERT_TRUE(run_until([this] { return records_->woken_by() == "tracking"; }));
  settle();
  const TimePoint begun = Loop::now();
  redis("DEL job:1");
  ASSERT_TRUE(run_until([this] { return !reported_.empty(); }));
  EXPECT_EQ(reported_, Texts{"gone"});
  EXPECT_GE(Loop::now() - begun, 1500ms);
  EXPECT_TRUE(reports_at_once("HSET job:1 user_id alice status paused")) << "the record is there again";
  EXPECT_EQ(reported_, Texts{"alice paused"});
}

TEST_F(JobRecordsWakeupsTest, CountsTheTimeWithoutARecordAnewWhenTheLinkWasLost) {
  start("auto", 1500ms);
  settle();
  redis("DEL job:1");
  run_for(1200ms);
  link_->drop("for the test");
  ASSERT_TRUE(run_until([this] { return !link_->up(); }));
  ASSERT_TRUE(run_until([this] { return link_->up(); }));
  const TimePoint up = Loop::now();
  ASSERT_TRUE(run_until([this] { return !reported_.empty(); }));
  EXPECT_GE(Loop::now() - up, 1400ms);
}

TEST_F(JobRecordsWakeupsTest, ReportsAChangeMadeBetweenTheCallersLookAndTheWatch) {
  redis("HSET job:1 status paused");
  start("auto");
  ASSERT_TRUE(run_until([this] { return !reported_.empty(); }));
  EXPECT_EQ(reported_, Texts{"alice paused"});
}

// Redis does not track a read that it refuses, so the next change is not announced.
TEST_F(JobRecordsWakeupsTest, LooksAgainAfterARefusedLook) {
  redis("ACL SETUSER limited on >secret ~* &* +@all");
  rule_.user = "limited";
  rule_.password = "secret";
  start("auto");
  ASSERT_TRUE(run_until([this] { return records_->woken_by() == "tracking"; }));
  settle();
  redis("ACL SETUSER limited -hmget");
  redis("HSET job:1 status paused");
  run_for(300ms);
  EXPECT_EQ(reported_, Texts{});
  redis("ACL SETUSER limited +hmget");
  EXPECT_TRUE(run_until([this] { return !reported_.empty(); }));
  EXPECT_EQ(reported_, Texts{"alice paused"});
}

TEST_F(JobRecordsWakeupsTest, WakesEachRuleThatReadsTheRecord) {
  RecordRule other_rule = record_;
  other_rule.status = "phase";
  other_rule.list_fields();
  struct Other final : JobRecords::Observer {
    void on_record(const Record& record) override { reported.push_back(record.status); }
    void on_record_gone() override {}
    Texts reported;
  };
  Other other;
  start("auto");
  const Record known{.user = "alice", .session = {}, .status = "", .terminal = false, .values = {}};
  const JobRecords::Watch second = records_->watch(other_rule, "job:1", known, other);
  ASSERT_TRUE(run_until([this] { return records_->woken_by() == "tracking"; }));
  settle();
  EXPECT_TRUE(reports_at_once("HSET job:1 status paused phase two"));
  EXPECT_TRUE(run_until([&] { return other.reported == Texts{"two"}; }));
}

}  // namespace
}  // namespace tailgate
