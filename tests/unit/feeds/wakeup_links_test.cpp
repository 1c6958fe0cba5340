#include "gateway/feeds/wakeup_links.h"

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/loop_fixture.h"
#include "tests/support/redis_server.h"

namespace tailgate {
namespace {

using namespace std::chrono_literals;
using Names = std::vector<std::string>;
using Mode = KeyWakeups::Mode;

// A reader of texts (GET).
class WakeupLinksTest : public testing::LoopTest, protected WakeupLinks::Reader {
 protected:
  WakeupLinksTest() {
    EXPECT_TRUE(run_until([this] {
      writer_.reset(redisConnectUnix(redis_.socket_path().c_str()));
      return writer_->err == 0;
    }));
  }

  WakeupLinks& start(Mode mode, const std::string& user = {}) {
    rule_.user = user;
    if (!user.empty()) rule_.password = "secret";
    channels_.emplace(loop_, resolver_, rule_, hub_);
    link_.emplace(loop_, resolver_, rule_, "texts", RedisLink::Events{.on_up = [this] {
                    if (wakeups_) wakeups_->on_up();
                  }});
    wakeups_.emplace(loop_, *link_, *channels_,
                     KeyWakeups::Rules{.mode = mode,
                                       .commands = {"set"},
                                       .prefers_tracking = true,
                                       .sweep_trusted = 60s,
                                       .sweep_untrusted = 60s},
                     WakeupLinks::Kind::kRecord, static_cast<WakeupLinks::Reader&>(*this));
    EXPECT_TRUE(run_until([this] { return link_->up() && channels_->up(); }));
    return *wakeups_;
  }

  void redis(const std::string& command) {
    const std::unique_ptr<redisReply, FreeReply> reply(
        static_cast<redisReply*>(redisCommand(writer_.get(), command.c_str())));
    ASSERT_NE(reply, nullptr);
    EXPECT_NE(reply->type, REDIS_REPLY_ERROR) << command << ": " << reply->str;
  }

  // Changes "a" until `by` is trusted.
  bool becomes_woken_by(std::string_view by) {
    for (int n = 0; n < 300 && wakeups_->woken_by() != by; ++n) {
      redis("SET a " + std::to_string(++written_));
      run_for(20ms);
    }
    return wakeups_->woken_by() == by;
  }

  // WakeupLinks::Reader
  void read(WakeupLinks::Key& key) override {
    reads_.push_back(key.name);
    calls_.push_back(link_->command({"GET", key.name}, [this, &key](const redisReply* reply) {
      using Result = KeyWakeups::ReadResult;
      const bool is_text = reply != nullptr && reply->type == REDIS_REPLY_STRING;
      wakeups_->on_read_ended(key, is_text ? Result::kWritten : Result::kUnchanged);
    }));
  }

  struct FreeReply {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  struct Disconnect {
    void operator()(redisContext* context) const { redisFree(context); }
  };
  testing::RedisServer redis_{path("."), ""};
  RedisRule rule_ = *parse_redis_url("unix:" + redis_.socket_path(), {});
  std::unique_ptr<redisContext, Disconnect> writer_;
  Hub hub_{{.on_pending = [] {}, .on_skipped = [](const Route&) {}}};
  std::optional<ChannelFeeds> channels_;
  std::optional<RedisLink> link_;
  std::vector<RedisCall> calls_;
  std::optional<WakeupLinks> wakeups_;
  Names reads_;
  int written_ = 0;
};

TEST_F(WakeupLinksTest, ReadsAKeyWhoseChangeRedisTracks) {
  WakeupLinks& wakeups = start(Mode::kAuto);
  WakeupLinks::Key a("a");
  WakeupLinks::Key b("b");
  wakeups.watch(a);
  wakeups.watch(b);
  ASSERT_TRUE(run_until([&] { return wakeups.woken_by() == "tracking"; }));
  ASSERT_TRUE(run_until([&] { return reads_.size() >= 2; }));
  reads_.clear();
  redis("SET b x");
  ASSERT_TRUE(run_until([this] { return !reads_.empty(); }));
  EXPECT_EQ(reads_, Names{"b"});
  wakeups.unwatch(a);
  wakeups.unwatch(b);
  reads_.clear();
  redis("SET b y");
  run_for(100ms);
  EXPECT_EQ(reads_, Names{}) << "an unwatched key was read";
}

TEST_F(WakeupLinksTest, ReadsEachWatchedKeyOfTheName) {
  WakeupLinks& wakeups = start(Mode::kAuto);
  WakeupLinks::Key one("a");
  WakeupLinks::Key other("a");
  wakeups.watch(one);
  wakeups.watch(other);
  ASSERT_TRUE(run_until([&] { return reads_.size() == 2; }));
  wakeups.unwatch(other);
  reads_.clear();
  redis("SET a x");
  ASSERT_TRUE(run_until([this] { return !reads_.empty(); }));
  run_for(50ms);
  EXPECT_EQ(reads_, Names{"a"});
  wakeups.unwatch(one);
}

TEST_F(WakeupLinksTest, ReadsAKeyWhoseChangeRedisNotifies) {
  WakeupLinks& wakeups = start(Mode::kNotifications);
  redis("CONFIG SET notify-keyspace-events K$");
  WakeupLinks::Key a("a");
  wakeups.watch(a);
  ASSERT_TRUE(becomes_woken_by("notifications"));
  reads_.clear();
  redis("SET a x");
  EXPECT_TRUE(run_until([this] { return reads_ == Names{"a"}; }));
  wakeups.unwatch(a);
}

TEST_F(WakeupLinksTest, UsesNotificationsIfTrackingIsRefused) {
  redis("CONFIG SET notify-keyspace-events K$");
  redis("ACL SETUSER limited on >secret ~* &* +@all -client|tracking");
  WakeupLinks& wakeups = start(Mode::kAuto, "limited");
  WakeupLinks::Key a("a");
  wakeups.watch(a);
  ASSERT_TRUE(becomes_woken_by("notifications"));
  WakeupLinks::Key b("b");  // watched after the refusal
  wakeups.watch(b);
  ASSERT_TRUE(run_until([this] { return std::ranges::count(reads_, "b") == 1; })) << "the subscription to b";
  redis("SET b x");
  EXPECT_TRUE(run_until([this] { return std::ranges::count(reads_, "b") == 2; }));
  wakeups.unwatch(a);
  wakeups.unwatch(b);
}

TEST_F(WakeupLinksTest, ReadsAllKeysInSeveralTurnsWhenTheLinkIsUpAgain) {
  WakeupLinks& wakeups = start(Mode::kSweep);
  std::vector<std::unique_ptr<WakeupLinks::Key>> keys;
  for (int i = 0; i < 150; ++i) {
    keys.push_back(std::make_unique<WakeupLinks::Key>("k" + std::to_string(i)));
    wakeups.watch(*keys.back());
  }
  link_->drop("for the test");
  ASSERT_TRUE(run_until([this] { return !link_->up(); }));
  reads_.clear();
  ASSERT_TRUE(run_until([this] { return reads_.size() >= 150; }));
  run_for(50ms);
  std::ranges::sort(reads_);
  EXPECT_EQ(reads_.size(), 150U);
  EXPECT_EQ(std::ranges::adjacent_find(reads_), reads_.end()) << "a key was read twice";
  for (const auto& key : keys) wakeups.unwatch(*key);
}

TEST_F(WakeupLinksTest, NamesTheModeOfEachValueOfTheConfiguration) {
  EXPECT_EQ(WakeupLinks::mode_of("auto"), Mode::kAuto);
  EXPECT_EQ(WakeupLinks::mode_of("notifications"), Mode::kNotifications);
  EXPECT_EQ(WakeupLinks::mode_of("sweep"), Mode::kSweep);
}

TEST_F(WakeupLinksTest, WritesTheTrustedAnnouncerAsAMetric) {
  const WakeupLinks& wakeups = start(Mode::kSweep);
  MetricsText text;
  wakeups.write_metrics(text);
  const std::string& written = text.text();
  EXPECT_NE(written.find("tailgate_record_wakeups{by=\"sweep\"} 1"), std::string::npos) << written;
  EXPECT_NE(written.find("tailgate_record_wakeups{by=\"tracking\"} 0"), std::string::npos) << written;
}

}  // namespace
}  // namespace tailgate
