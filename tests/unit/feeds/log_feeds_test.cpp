#include "gateway/feeds/log_feeds.h"

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/lagging_proxy.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_server.h"

namespace tailgate {
namespace {

using Names = std::vector<std::string>;
using Proxy = testing::LaggingProxy;
using namespace std::chrono_literals;

// The slow sweep finds an entry after 2 s at the earliest.  An entry that is read sooner was announced.
constexpr auto kAnnounced = 1500ms;

class LogFeedsTest : public testing::LoopTest, protected LogFeeds::Observer, protected Receiver {
 protected:
  LogFeedsTest() {
    route_.name = "log";
    route_.framing = Framing::kEntry;
    route_.event = "log";
    route_.entry = {"text"};
  }

  // `wakeups` is redis.wakeups, `events` is notify-keyspace-events.
  void start(const std::string& wakeups, const std::string& events = "") {
    channels_.emplace(loop_, resolver_, rule_of_subscriber_, hub_);
    logs_.emplace(loop_, resolver_, rule_of_logs_, "logs",
                  RedisLink::Events{.on_up =
                                        [this] {
                                          if (feeds_) feeds_->on_up();
                                        },
                                    .on_down = {}});
    reader_.emplace(*logs_);
    feeds_.emplace(loop_, *logs_, *reader_, *channels_, hub_, wakeups);
    ASSERT_TRUE(run_until([this] { return logs_->up() && channels_->up(); }));
    writer_.reset(redisConnectUnix(redis_.socket_path().c_str()));
    redis("CONFIG SET notify-keyspace-events '" + events + "'");
  }

  // Runs a command on another connection.  Returns the reply, or its last element, as text.  '' is an empty
  // argument.
  std::string redis(const std::string& command) {
    Names words(1);
    for (const char c : command) {
      if (c == ' ') {
        words.emplace_back();
      } else if (c != '\'') {
        words.back() += c;
      }
    }
    std::vector<const char*> arguments;
    for (const std::string& word : words) arguments.push_back(word.c_str());
    const std::unique_ptr<redisReply, FreeReply> reply(static_cast<redisReply*>(
        redisCommandArgv(writer_.get(), static_cast<int>(words.size()), arguments.data(), nullptr)));
    if (!reply) return "lost";
    EXPECT_NE(reply->type, REDIS_REPLY_ERROR) << command << ": " << reply->str;
    const redisReply& last = reply->elements > 0 ? *reply->element[reply->elements - 1] : *reply;
    if (last.type == REDIS_REPLY_INTEGER) return std::to_string(last.integer);
    return last.str == nullptr ? "" : last.str;
  }
  void add(int id, const std::string& key = "log") {
    redis("XADD " + key + ' ' + std::to_string(id) + "-0 text x");
  }
  // Runs the commands as one transaction.
  void redis_together(const Names& commands) {
    redis("MULTI");
    for (const std::string& command : commands) redis(command);
    redis("EXEC");
  }

  void follow(const std::string& key = "log") {
    subscriptions_.push_back(hub_.subscribe(LogFeeds::topic(key), route_, *this));
    follows_.push_back(feeds_->follow(key, LogCursor(), *this));
  }

  bool comes(int id) {
    const std::string text = std::to_string(id) + "-0";
    return run_until([&] { return !ids_.empty() && ids_.back() == text; });
  }
  // Adds an entry.  True if it is published before the slow sweep could have found it.
  bool comes_announced(int id) {
    const TimePoint begun = Loop::now();
    add(id);
    return comes(id) && Loop::now() - begun < kAnnounced;
  }
  // Adds entries until `announcer` is trusted.
  bool becomes_woken_by(std::string_view announcer) {
    for (int tries = 0; tries < 100 && feeds_->woken_by() != announcer; ++tries) {
      add(++last_);
      if (!comes(last_)) return false;
      run_for(20ms);
    }
    return feeds_->woken_by() == announcer;
  }
  // True if the proxy holds back an answer with this text.
  static bool is_answered(const Proxy& proxy, std::string_view text) {
    return proxy.held(Proxy::kToClient).find(text) != std::string::npos;
  }
  std::string client(const std::string& name) {
    const std::string list = redis("CLIENT LIST");
    const std::size_t at = list.find(" name=tailgate-" + name + ' ');
    if (at == std::string::npos) return "";
    const std::size_t begin = list.rfind('\n', at) == std::string::npos ? 0 : list.rfind('\n', at) + 1;
    return list.substr(begin, list.find('\n', at) - begin);
  }
  bool is_tracked() {
    return client("logs").find(" redir=" + std::to_string(channels_->client_id()) + ' ') != std::string::npos;
  }
  // The XREAD calls that Redis has counted.
  std::string checks() {
    const std::string stats = redis("INFO commandstats");
    const std::size_t at = stats.find("cmdstat_xread:");
    return at == std::string::npos ? "" : stats.substr(at, stats.find(',', at) - at);
  }

  // LogFeeds::Observer and Receiver
  void on_gap(const LogGap& gap, const LogCursor& cursor) override {
    EXPECT_EQ(feeds_->position("log"), cursor.position());
    ids_.push_back("gap " + gap.requested.text() + ' ' +
                   (gap.first_available ? gap.first_available->text() : "none"));
  }
  void on_wrong_type() override { ids_.emplace_back("wrong type"); }
  void on_batch(const Batch& batch) override {
    for (const Batch::Mark& mark : batch.marks) ids_.push_back(mark.id.text());
  }

  struct FreeReply {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  struct Disconnect {
    void operator()(redisContext* context) const { redisFree(context); }
  };
  testing::RedisServer redis_{path("."), ""};
  Proxy to_subscriber_{loop_, path("subscriber.sock"), redis_.socket_path()};
  Proxy to_logs_{loop_, path("logs.sock"), redis_.socket_path()};
  RedisRule rule_of_subscriber_ = *parse_redis_url("unix:" + to_subscriber_.path(), {});
  RedisRule rule_of_logs_ = *parse_redis_url("unix:" + to_logs_.path(), {});
  Route route_;
  bool hub_waits_ = false;  // the hub is not flushed at the end of a turn
  TurnEnd flush_{loop_, [this] {
                   if (!hub_waits_) hub_.flush();
                 }};
  Hub hub_{{.on_pending = [this] { flush_.ask(); }, .on_skipped = [](const Route&) {}}};
  std::optional<ChannelFeeds> channels_;
  std::optional<RedisLink> logs_;
  std::optional<LogReader> reader_;
  std::optional<LogFeeds> feeds_;
  std::unique_ptr<redisContext, Disconnect> writer_;
  std::vector<Hub::Subscription> subscriptions_;
  std::vector<LogFeeds::Follow> follows_;
  Names ids_;  // the published entries and the observer's other calls
  int last_ = 0;
};

// ---- announcers -------------------------------------------------------------------------------------

TEST_F(LogFeedsTest, IsWokenByNotificationsOnceOneCameBeforeTheSweep) {
  start("auto", "Kt");
  follow();
  ASSERT_TRUE(becomes_woken_by("notifications"));
  const std::string before = checks();
  EXPECT_TRUE(comes_announced(++last_));
  EXPECT_EQ(checks(), before) << "checked for growth although notifications are trusted";
  EXPECT_TRUE(run_until([this] { return !is_tracked(); })) << "tracked although notifications are trusted";
}

TEST_F(LogFeedsTest, IsWokenByTrackingIfNotificationsAreOff) {
  start("auto");
  follow();
  ASSERT_TRUE(becomes_woken_by("tracking"));
  EXPECT_TRUE(is_tracked());
  const std::string before = checks();
  EXPECT_TRUE(comes_announced(++last_));
  EXPECT_EQ(checks(), before) << "checked for growth although tracking is trusted";
}

TEST_F(LogFeedsTest, IsWokenByTheSweepInModeSweep) {
  start("sweep", "Kt");
  follow();
  for (int id = 1; id <= 5; ++id) EXPECT_TRUE(comes_announced(id)) << id;
  EXPECT_EQ(feeds_->woken_by(), "sweep");
  EXPECT_FALSE(is_tracked());
  EXPECT_EQ(redis("PUBSUB NUMSUB __keyspace@0__:log"), "0");
}

TEST_F(LogFeedsTest, TrustsNotificationsFromTheStartInModeNotifications) {
  start("notifications");
  follow();
  EXPECT_EQ(feeds_->woken_by(), "notifications");
  run_for(100ms);
  EXPECT_FALSE(is_tracked());
  EXPECT_EQ(checks(), "") << "checked for growth, although notifications are trusted";
}

TEST_F(LogFeedsTest, SweepsAllLogsIfOneKeyHoldsNoLog) {
  start("sweep");
  redis("SET none text");
  for (const char* key : {"log", "none", "other"}) follow(key);
  ids_.clear();
  for (int id = 1; id <= 3; ++id) EXPECT_TRUE(comes_announced(id)) << id;
}

TEST_F(LogFeedsTest, IsWokenByTrackingWhenNotificationsStopComing) {
  start("auto", "Kt");
  follow();
  ASSERT_TRUE(becomes_woken_by("notifications"));
  redis("CONFIG SET notify-keyspace-events ''");
  EXPECT_TRUE(becomes_woken_by("tracking"));
}

TEST_F(LogFeedsTest, ReadsAllLogsAfterFlushall) {
  start("auto");
  follow();
  ASSERT_TRUE(becomes_woken_by("tracking"));
  const TimePoint begun = Loop::now();
  redis("FLUSHALL");
  ASSERT_TRUE(run_until([this] { return ids_.back().starts_with("gap "); }));
  EXPECT_LT(Loop::now() - begun, kAnnounced);
}

// ---- tracking and the two links ---------------------------------------------------------------------

TEST_F(LogFeedsTest, DoesNotAskForTrackingBeforeTheSubscriberLinkHasAnswered) {
  start("auto");
  to_subscriber_.hold(Proxy::kToClient);
  follow();
  ASSERT_TRUE(run_until([this] { return is_answered(to_subscriber_, "invalidate"); }));
  run_for(50ms);
  EXPECT_FALSE(is_tracked());
  to_subscriber_.release(Proxy::kToClient);
  EXPECT_TRUE(run_until([this] { return is_tracked(); }));
}

TEST_F(LogFeedsTest, CountsOnlyTheAnswerToTheLastTrackingCommand) {
  start("auto");
  follow();
  ASSERT_TRUE(becomes_woken_by("tracking"));
  // When Redis gets the first command, the connection that it names is closed, so Redis refuses it.
  to_logs_.hold(Proxy::kToServer);
  const auto lose_the_subscriber = [&](std::size_t commands) {
    to_subscriber_.cut();
    return run_until([&] {
      const std::string held = to_logs_.held(Proxy::kToServer);
      std::size_t count = 0;
      for (auto at = held.find("REDIRECT"); at != std::string::npos; at = held.find("REDIRECT", at + 1))
        ++count;
      return count == commands;
    });
  };
  ASSERT_TRUE(lose_the_subscriber(1));
  ASSERT_TRUE(lose_the_subscriber(2));
  to_logs_.release(Proxy::kToServer);
  ASSERT_TRUE(run_until([this] { return is_tracked(); }));
  EXPECT_TRUE(becomes_woken_by("tracking"));
  run_for(50ms);
  EXPECT_TRUE(comes_announced(++last_));
  EXPECT_EQ(feeds_->woken_by(), "tracking");
}

TEST_F(LogFeedsTest, TracksAgainAfterALossOfEitherLink) {
  start("auto");
  follow();
  for (Proxy* proxy : {&to_subscriber_, &to_logs_}) {
    ASSERT_TRUE(becomes_woken_by("tracking"));
    const std::size_t before = proxy->accepted();
    proxy->cut();
    ASSERT_TRUE(run_until([&] { return proxy->accepted() > before && is_tracked(); }));
    EXPECT_TRUE(comes_announced(++last_));
  }
}

TEST_F(LogFeedsTest, ReadsEntriesWrittenWhileTheReadingLinkWasDown) {
  start("notifications", "Kt");
  follow();
  ASSERT_TRUE(comes_announced(1));
  to_logs_.refuse();
  to_logs_.cut();
  ASSERT_TRUE(run_until([this] { return !logs_->up(); }));
  add(2);
  run_for(20ms);
  const TimePoint begun = Loop::now();
  to_logs_.accept();
  ASSERT_TRUE(comes(2));
  EXPECT_LT(Loop::now() - begun, kAnnounced);
}

TEST_F(LogFeedsTest, ReadsEntriesWrittenWhileTheSubscriberLinkWasDown) {
  start("notifications", "Kt");
  follow();
  ASSERT_TRUE(comes_announced(1));
  to_subscriber_.refuse();
  to_subscriber_.cut();
  ASSERT_TRUE(run_until([this] { return !channels_->up(); }));
  add(2);
  const TimePoint begun = Loop::now();
  to_subscriber_.accept();
  ASSERT_TRUE(comes(2));
  EXPECT_LT(Loop::now() - begun, kAnnounced);
}

TEST_F(LogFeedsTest, ReadsAgainAfterANotificationDuringARead) {
  start("notifications", "Kt");
  follow();
  ASSERT_TRUE(comes_announced(1));
  to_logs_.hold(Proxy::kToClient);
  feeds_->read_soon("log");
  ASSERT_TRUE(run_until([this] { return is_answered(to_logs_, "1-0"); }));
  add(2);  // after the read, before its answer arrives
  run_for(50ms);
  const TimePoint begun = Loop::now();
  to_logs_.release(Proxy::kToClient);
  ASSERT_TRUE(comes(2));
  EXPECT_LT(Loop::now() - begun, kAnnounced);
}

// ---- entries and gaps -------------------------------------------------------------------------------

TEST_F(LogFeedsTest, PublishesEveryEntryOnceAndInOrder) {
  start("auto");
  follow();
  Names expected;
  to_logs_.set_lag(Proxy::kToClient, 2ms);
  for (int id = 1; id <= 300; ++id) {
    add(id);
    expected.push_back(std::to_string(id) + "-0");
    if (id % 7 == 0) run_for(1ms);
    if (id % 100 == 0) to_logs_.cut();
  }
  ASSERT_TRUE(comes(300));
  EXPECT_EQ(ids_, expected);
}

TEST_F(LogFeedsTest, ReadsOnWhileALogHasMore) {
  start("notifications", "Kt");
  for (int id = 1; id <= 300; ++id) add(id);  // more than two reads can bring
  const TimePoint begun = Loop::now();
  follow();
  ASSERT_TRUE(comes(300));
  EXPECT_LT(Loop::now() - begun, kAnnounced);
  EXPECT_EQ(ids_.size(), 300U);
}

TEST_F(LogFeedsTest, ReportsAGapWhenTheLogWasTrimmedPastItsReader) {
  start("auto");
  follow();
  add(1);
  ASSERT_TRUE(comes(1));
  redis_together({"XADD log 2-0 text x", "XADD log 3-0 text x", "XADD log 4-0 text x", "XTRIM log MAXLEN 1"});
  ASSERT_TRUE(comes(4));
  EXPECT_EQ(ids_, (Names{"1-0", "gap 1-0 4-0", "4-0"}));
}

TEST_F(LogFeedsTest, ReadsAReplacedLogFromItsBeginningAfterAGap) {
  start("auto");
  follow();
  add(5);
  ASSERT_TRUE(comes(5));
  redis_together({"DEL log", "XADD log 1-0 text x", "XADD log 2-0 text x"});
  ASSERT_TRUE(comes(2));
  EXPECT_EQ(ids_, (Names{"5-0", "gap 5-0 1-0", "1-0", "2-0"}));
}

TEST_F(LogFeedsTest, ReportsAGapOnceIfTheLogWasReplacedByOneThatGrewBesideIt) {
  start("auto");
  follow();
  for (const int id : {1, 3, 5}) add(id);
  ASSERT_TRUE(comes(5));
  for (const int id : {2, 4, 6, 7}) add(id, "other");
  redis("RENAME other log");
  ASSERT_TRUE(comes(7));
  add(8);
  ASSERT_TRUE(comes(8));
  EXPECT_EQ(ids_, (Names{"1-0", "3-0", "5-0", "gap 5-0 2-0", "6-0", "7-0", "8-0"}));
}

TEST_F(LogFeedsTest, DeliversPendingEntriesBeforeItReportsAGap) {
  start("auto");
  follow();
  hub_waits_ = true;
  add(1);
  ASSERT_TRUE(run_until([this] { return feeds_->position("log") == EntryId{1, 0}; }));
  redis_together({"XADD log 2-0 text x", "XADD log 3-0 text x", "XTRIM log MAXLEN 1"});
  ASSERT_TRUE(run_until([this] { return ids_.size() == 2; }));
  EXPECT_EQ(ids_, (Names{"1-0", "gap 1-0 3-0"}));
}

TEST_F(LogFeedsTest, ReportsAKeyThatHoldsNoLogToEveryObserver) {
  start("auto");
  follow();
  follow();
  subscriptions_.pop_back();
  add(1);
  ASSERT_TRUE(comes(1));
  redis_together({"DEL log", "SET log text"});
  // DEL and SET are announced separately, so two reads may be answered in one turn.
  ASSERT_TRUE(run_until([this] { return ids_.size() >= 3; }));
  ids_.resize(3);
  EXPECT_EQ(ids_, (Names{"1-0", "wrong type", "wrong type"}));
}

// ---- leases -----------------------------------------------------------------------------------------

TEST_F(LogFeedsTest, KeepsOneReaderOfALogUntilItsLastFollowerLeaves) {
  start("auto", "Kt");
  follow();
  follow();
  EXPECT_EQ(feeds_->followed(), 1U);
  add(1);
  ASSERT_TRUE(comes(1));
  EXPECT_EQ(feeds_->position("log"), (EntryId{1, 0}));
  follows_.erase(follows_.begin());
  EXPECT_EQ(feeds_->followed(), 1U);
  EXPECT_TRUE(comes_announced(2));
  follows_.clear();
  EXPECT_EQ(feeds_->followed(), 0U);
  EXPECT_EQ(feeds_->position("log"), std::nullopt);
  feeds_->read_soon("log");
  EXPECT_TRUE(run_until([this] { return redis("PUBSUB NUMSUB __keyspace@0__:log") == "0"; }));
  EXPECT_TRUE(run_until([this] { return !is_tracked(); }));
}

TEST_F(LogFeedsTest, EndsAReaderDuringARead) {
  start("notifications", "Kt");
  follow();
  ASSERT_TRUE(comes_announced(1));
  to_logs_.hold(Proxy::kToClient);
  add(2);
  ASSERT_TRUE(run_until([this] { return is_answered(to_logs_, "2-0"); }));
  follows_.clear();
  to_logs_.release(Proxy::kToClient);
  follow("other");
  add(3, "other");
  ASSERT_TRUE(comes(3));
  EXPECT_EQ(ids_, (Names{"1-0", "3-0"}));
}

}  // namespace
}  // namespace tailgate
