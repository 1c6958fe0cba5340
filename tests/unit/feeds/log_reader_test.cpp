#include "gateway/feeds/log_reader.h"

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <array>
#include <chrono>
#include <deque>
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
using Outcome = LogRead::Outcome;
using Proxy = testing::LaggingProxy;
using Start = LogReader::Start;

// One reader of one log, and the results of its reads.
struct Client {
  LogCursor cursor;
  ReadPace pace;
  LogReader::Read reading;
  std::vector<Outcome> outcomes;
  Names ids;
  std::optional<LogGap> gap;
  bool more = false;
};

class LogReaderTest : public testing::LoopTest {
 protected:
  LogReaderTest() {
    EXPECT_TRUE(run_until([this] { return link_.up(); }));
    writer_.reset(redisConnectUnix(redis_.socket_path().c_str()));
  }

  // Runs a command on another connection.
  void redis(const std::string& command) {
    std::unique_ptr<redisReply, FreeReply> reply(
        static_cast<redisReply*>(redisCommand(writer_.get(), command.c_str())));
    ASSERT_TRUE(reply && reply->type != REDIS_REPLY_ERROR) << command << (reply ? reply->str : "");
  }
  void add(int first, int last, const std::string& text = "x") {
    for (int i = first; i <= last; ++i) redis("XADD log " + std::to_string(i) + "-0 text " + text);
  }

  void start(Client& client, Start when = Start::kAtOnce, const std::string& key = "log") {
    client.reading = reader_.read(key, client.cursor, client.pace, when, [&client](const LogRead& read) {
      client.outcomes.push_back(read.outcome);
      for (const LogEntry& entry : read.entries) client.ids.push_back(entry.id.text());
      client.gap = read.gap;
      client.more = read.more;
    });
  }
  // Reads once and waits for the outcome.
  Outcome read(Client& client) {
    start(client);
    EXPECT_TRUE(run_until([&] { return !client.reading.under_way(); }));
    return client.outcomes.back();
  }
  std::size_t commands_held(std::string_view name) const {
    const std::string held = proxy_.held(Proxy::kToServer);
    std::size_t count = 0;
    for (std::size_t at = held.find(name); at != std::string::npos; at = held.find(name, at + 1)) ++count;
    return count;
  }

  struct FreeReply {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  struct Disconnect {
    void operator()(redisContext* context) const { redisFree(context); }
  };
  testing::RedisServer redis_{path("."), ""};
  Proxy proxy_{loop_, path("proxy.sock"), redis_.socket_path()};
  RedisRule rule_ = *parse_redis_url("unix:" + proxy_.path(), {});
  RedisLink link_{loop_, resolver_, rule_, "logs", {.on_up = [] {}, .on_down = [] {}}};
  LogReader reader_{link_};
  std::unique_ptr<redisContext, Disconnect> writer_;
};

// ---- entries and gaps -------------------------------------------------------------------------------

TEST_F(LogReaderTest, ReadsTheEntriesAfterTheCursorOnceAndInOrder) {
  add(1, 3);
  Client client;
  EXPECT_EQ(read(client), Outcome::kRead);
  EXPECT_EQ(client.ids, (Names{"1-0", "2-0", "3-0"}));
  EXPECT_FALSE(client.more || client.gap);
  read(client);
  EXPECT_EQ(client.ids.size(), 3U) << "read twice";
  add(4, 4);
  read(client);
  EXPECT_EQ(client.ids.back(), "4-0");
  EXPECT_EQ(client.ids.size(), 4U);
}

TEST_F(LogReaderTest, ReadsNothingBeyondTheEntryThatItIsGiven) {
  add(1, 9);
  Client client;
  client.reading = reader_.read(
      "log", client.cursor, client.pace, Start::kAtOnce,
      [&client](const LogRead& read) { client.more = read.more; }, EntryId{6, 0});
  EXPECT_TRUE(run_until([&] { return !client.reading.under_way(); }));
  EXPECT_EQ(client.cursor.position().text(), "6-0");
  EXPECT_FALSE(client.more);
  read(client);
  EXPECT_EQ(client.ids, (Names{"7-0", "8-0", "9-0"}));
}

TEST_F(LogReaderTest, ReportsMoreAndAsksForALargerCountTheNextTime) {
  add(1, 40);
  Client client;
  client.pace.count = 32;
  read(client);
  EXPECT_EQ(client.ids.size(), 33U) << "the read asks for one more, for the cursor's own entry";
  EXPECT_TRUE(client.more);
  EXPECT_EQ(client.pace.count, 128U);
  read(client);
  EXPECT_EQ(client.ids.size(), 40U);
  EXPECT_FALSE(client.more);
}

TEST_F(LogReaderTest, TakesHalfAMegabyteOfAnAnswerAndAsksForASmallerCountTheNextTime) {
  add(1, 20, std::string(100'000, 'x'));
  Client client;
  read(client);
  EXPECT_EQ(client.ids.size(), 6U);
  EXPECT_TRUE(client.more);
  EXPECT_EQ(client.pace.count, 8U);
  for (int i = 0; i < 10 && client.more; ++i) read(client);
  EXPECT_EQ(client.ids.size(), 20U);
  EXPECT_EQ(client.ids.back(), "20-0");
}

TEST_F(LogReaderTest, ReportsAGapWhenTheLogWasTrimmedPastTheCursor) {
  add(1, 5);
  Client client;
  read(client);
  add(6, 10);
  redis("XTRIM log MAXLEN 2");
  read(client);
  ASSERT_TRUE(client.gap);
  EXPECT_EQ(client.gap->requested.text(), "5-0");
  EXPECT_EQ(client.gap->first_available->text(), "9-0");
  EXPECT_EQ(client.ids.back(), "5-0") << "no entries in the read that reports a gap";
  EXPECT_TRUE(client.more);
  read(client);
  EXPECT_FALSE(client.gap);
  EXPECT_EQ(client.ids, (Names{"1-0", "2-0", "3-0", "4-0", "5-0", "9-0", "10-0"}));
}

TEST_F(LogReaderTest, ReportsNoGapWhenOnlyDeliveredEntriesWereTrimmed) {
  add(1, 5);
  Client client;
  read(client);
  add(6, 8);
  redis("XTRIM log MAXLEN 3");
  read(client);
  EXPECT_FALSE(client.gap);
  EXPECT_EQ(client.ids, (Names{"1-0", "2-0", "3-0", "4-0", "5-0", "6-0", "7-0", "8-0"}));
}

// While the connection is lost, a failover loses entry 3, and two entries are added, of which one is trimmed.
TEST_F(LogReaderTest, ReportsAGapAfterAFailoverEvenIfAsManyEntriesAreGoneAsWereRead) {
  add(1, 3);
  Client client;
  read(client);
  proxy_.cut();
  ASSERT_TRUE(run_until([this] { return !link_.up(); }));
  redis("DEL log");
  add(5, 5);
  redis("XSETID log 5-0 ENTRIESADDED 4");
  ASSERT_TRUE(run_until([this] { return link_.up(); }));
  read(client);
  ASSERT_TRUE(client.gap);
  EXPECT_EQ(client.gap->requested.text(), "3-0");
  EXPECT_EQ(client.gap->first_available->text(), "5-0");
  read(client);
  EXPECT_FALSE(client.gap);
  EXPECT_EQ(client.ids.back(), "5-0");
}

TEST_F(LogReaderTest, ReportsNoGapIfTheLogHasNotChangedWhileTheLinkWasDown) {
  add(1, 3);
  Client client;
  read(client);
  proxy_.cut();
  ASSERT_TRUE(run_until([this] { return !link_.up(); }));
  add(4, 4);
  ASSERT_TRUE(run_until([this] { return link_.up(); }));
  read(client);
  redis("XTRIM log MAXLEN 0");
  add(5, 5);
  read(client);
  EXPECT_FALSE(client.gap) << "the entry at the position was there on the new connection";
  EXPECT_EQ(client.ids, (Names{"1-0", "2-0", "3-0", "4-0", "5-0"}));
}

TEST_F(LogReaderTest, ReadsAReplacedLogFromItsBeginningAfterAGap) {
  add(5, 6);
  Client client;
  read(client);
  redis("DEL log");
  add(1, 2);
  read(client);
  ASSERT_TRUE(client.gap);
  EXPECT_EQ(client.gap->first_available->text(), "1-0");
  read(client);
  EXPECT_EQ(client.ids, (Names{"5-0", "6-0", "1-0", "2-0"}));
}

TEST_F(LogReaderTest, ReportsAGapWhenTheLogIsDeletedBetweenXrangeAndXinfo) {
  add(1, 5);
  Client client;
  read(client);
  add(6, 8);
  redis("XTRIM log MAXLEN 3");
  proxy_.hold(Proxy::kToServer);
  start(client);
  ASSERT_TRUE(run_until([&] { return proxy_.release_one(Proxy::kToServer); }));
  ASSERT_TRUE(run_until([&] { return commands_held("XINFO") == 1; }));
  redis("DEL log");
  proxy_.release(Proxy::kToServer);
  ASSERT_TRUE(run_until([&] { return !client.reading.under_way(); }));
  ASSERT_TRUE(client.gap) << "the entries that were read may be incomplete";
  EXPECT_FALSE(client.gap->first_available);
  EXPECT_EQ(client.ids.size(), 5U);
}

TEST_F(LogReaderTest, ReportsAWrongType) {
  redis("SET log text");
  Client client;
  EXPECT_EQ(read(client), Outcome::kWrongType);
}

TEST_F(LogReaderTest, IsUnavailableWhenRedisAnswersWithAnotherError) {
  redis("ACL SETUSER default resetkeys ~other");
  Client client;
  EXPECT_EQ(read(client), Outcome::kUnavailable);
  EXPECT_EQ(client.pace.count, 32U) << "unchanged, because Redis has answered";
}

TEST_F(LogReaderTest, AsksForAQuarterOfTheEntriesAfterAnUnansweredRead) {
  Client client;
  proxy_.hold(Proxy::kToClient);
  start(client);
  ASSERT_TRUE(run_until([this] { return !proxy_.held(Proxy::kToClient).empty(); }));
  proxy_.cut();
  ASSERT_TRUE(run_until([&] { return !client.reading.under_way(); }));
  EXPECT_EQ(client.outcomes, std::vector<Outcome>{Outcome::kUnavailable});
  EXPECT_EQ(client.pace.count, 8U);
}

TEST_F(LogReaderTest, IsUnavailableWhenTheLinkIsLostBeforeTheTailIsKnown) {
  add(1, 2);
  Client client;
  read(client);
  redis("DEL log");
  proxy_.hold(Proxy::kToServer);
  start(client);
  ASSERT_TRUE(run_until([&] { return proxy_.release_one(Proxy::kToServer); }));
  ASSERT_TRUE(run_until([&] { return commands_held("XINFO") == 1; }));
  proxy_.cut();
  ASSERT_TRUE(run_until([&] { return !client.reading.under_way(); }));
  EXPECT_EQ(client.outcomes.back(), Outcome::kUnavailable);
  EXPECT_EQ(client.cursor.position().text(), "2-0");
}

TEST_F(LogReaderTest, NeverDeliversTheAnswerToAReadWhoseLeaseHasEnded) {
  add(1, 1);
  Client client;
  proxy_.hold(Proxy::kToClient);
  start(client);
  ASSERT_TRUE(run_until([this] { return !proxy_.held(Proxy::kToClient).empty(); }));
  client.reading = {};
  proxy_.release(Proxy::kToClient);
  Client other;
  EXPECT_EQ(read(other), Outcome::kRead) << "answered after it";
  EXPECT_TRUE(client.outcomes.empty());
  EXPECT_TRUE(client.cursor.position().is_zero());
}

// ---- the queue --------------------------------------------------------------------------------------

class LogReaderQueueTest : public LogReaderTest {
 protected:
  // Starts sixteen reads, which the proxy holds back, and queues `waiting` more.
  void fill(std::size_t waiting) {
    proxy_.hold(Proxy::kToServer);
    for (std::size_t i = 0; i < 16 + waiting; ++i) start(clients_.emplace_back(), Start::kQueued, key_of(i));
    ASSERT_TRUE(run_until([this] { return commands_held("XRANGE") == 16; }));
  }
  static std::string key_of(std::size_t client) { return '<' + std::to_string(client) + '>'; }
  std::size_t answered() const {
    std::size_t count = 0;
    for (const Client& client : clients_) count += client.outcomes.size();
    return count;
  }

  std::deque<Client> clients_;
};

TEST_F(LogReaderQueueTest, HasAtMostSixteenQueuedReadsUnderWay) {
  fill(20);
  run_for(std::chrono::milliseconds(20));
  EXPECT_EQ(commands_held("XRANGE"), 16U);
  ASSERT_TRUE(proxy_.release_one(Proxy::kToServer));
  ASSERT_TRUE(run_until([this] { return answered() == 1 && commands_held("XRANGE") == 16; }))
      << "each answer starts the next read";
  proxy_.release(Proxy::kToServer);
  EXPECT_TRUE(run_until([this] { return answered() == 36; }));
}

TEST_F(LogReaderQueueTest, StartsQueuedReadsInTheirOrder) {
  fill(3);
  for (std::size_t first = 0; first < 3; ++first) {
    ASSERT_TRUE(proxy_.release_one(Proxy::kToServer));
    ASSERT_TRUE(run_until([&] { return answered() == first + 1 && commands_held("XRANGE") == 16; }));
  }
  const std::string held = proxy_.held(Proxy::kToServer);
  EXPECT_LT(held.find(key_of(15)), held.find(key_of(16)));
  EXPECT_LT(held.find(key_of(16)), held.find(key_of(17)));
  EXPECT_LT(held.find(key_of(17)), held.find(key_of(18)));
  EXPECT_NE(held.find(key_of(18)), std::string::npos);
}

TEST_F(LogReaderQueueTest, PutsTheNextReadOfAClientAtTheEndOfTheQueue) {
  Client first;
  Client again;
  proxy_.hold(Proxy::kToServer);
  first.reading = reader_.read("first", first.cursor, first.pace, Start::kQueued,
                               [&](const LogRead&) { start(again, Start::kQueued, "<again>"); });
  for (int i = 0; i < 15; ++i) start(clients_.emplace_back(), Start::kQueued);
  start(clients_.emplace_back(), Start::kQueued, "<waiting>");
  ASSERT_TRUE(run_until([this] { return commands_held("XRANGE") == 16; }));
  ASSERT_TRUE(proxy_.release_one(Proxy::kToServer));
  ASSERT_TRUE(run_until([&] { return !first.reading.under_way() && commands_held("XRANGE") == 16; }));
  EXPECT_EQ(commands_held("<waiting>"), 1U);
  EXPECT_EQ(commands_held("<again>"), 0U);
}

TEST_F(LogReaderQueueTest, ReadsForALiveFeedAtOnceDespiteAFullQueue) {
  fill(20);
  Client live;
  start(live);
  EXPECT_TRUE(run_until([this] { return commands_held("XRANGE") == 17; }));
}

TEST_F(LogReaderQueueTest, WithdrawsAQueuedReadWhenItsLeaseEnds) {
  fill(2);
  clients_[16].reading = {};
  ASSERT_TRUE(proxy_.release_one(Proxy::kToServer));
  ASSERT_TRUE(run_until([this] { return commands_held("XRANGE") == 16; }));
  proxy_.release(Proxy::kToServer);
  ASSERT_TRUE(run_until([this] { return answered() == 17; }));
  EXPECT_TRUE(clients_[16].outcomes.empty());
  EXPECT_EQ(clients_[17].outcomes, std::vector{Outcome::kRead});
}

TEST_F(LogReaderQueueTest, StartsTheNextReadWhenTheLeaseOfAReadUnderWayEnds) {
  fill(1);
  clients_[0].reading = {};
  EXPECT_TRUE(run_until([this] { return commands_held("XRANGE") == 17; }));
}

TEST_F(LogReaderQueueTest, EndsQueuedReadsAsUnavailableWhenTheLinkIsLost) {
  fill(20);
  proxy_.cut();
  ASSERT_TRUE(run_until([this] { return answered() == 36; }));
  for (const Client& client : clients_) EXPECT_EQ(client.outcomes, std::vector{Outcome::kUnavailable});
}

// ---- the other commands -----------------------------------------------------------------------------

TEST_F(LogReaderTest, ReportsTheTailOfALog) {
  add(1, 5);
  redis("XTRIM log MAXLEN 2");
  std::optional<LogTail> found;
  const RedisCall call = reader_.tail("log", [&](Outcome outcome, const LogTail& tail) {
    EXPECT_EQ(outcome, Outcome::kRead);
    found = tail;
  });
  ASSERT_TRUE(run_until([&] { return found.has_value(); }));
  EXPECT_TRUE(found->exists);
  EXPECT_EQ(found->length, 2U);
  EXPECT_EQ(found->first_entry.text(), "4-0");
  EXPECT_EQ(found->last.text(), "5-0");
  EXPECT_EQ(found->added, 5U);
}

TEST_F(LogReaderTest, ReportsNoTailOfAMissingLogAWrongTypeOrALostLink) {
  redis("SET text x");
  std::vector<Outcome> outcomes;
  const auto note = [&](Outcome outcome, const LogTail& tail) {
    EXPECT_FALSE(tail.exists);
    outcomes.push_back(outcome);
  };
  const std::array calls{reader_.tail("nothing", note), reader_.tail("text", note)};
  ASSERT_TRUE(run_until([&] { return outcomes.size() == 2; }));
  proxy_.hold(Proxy::kToServer);
  const RedisCall lost = reader_.tail("nothing", note);
  ASSERT_TRUE(run_until([this] { return commands_held("XINFO") == 1; }));
  proxy_.cut();
  ASSERT_TRUE(run_until([&] { return outcomes.size() == 3; }));
  EXPECT_EQ(outcomes, (std::vector{Outcome::kRead, Outcome::kWrongType, Outcome::kUnavailable}));
}

TEST_F(LogReaderTest, ReportsWhichLogsHaveGrown) {
  add(1, 2);
  redis("XADD other 7-0 text x");
  const std::array<LogReader::Position, 3> logs{
      {{.key = "log", .last = {1, 0}}, {.key = "other", .last = {7, 0}}, {.key = "nothing", .last = {}}}};
  std::optional<Names> grown;
  const auto note = [&](const LogReader::Grown& keys) {
    grown.emplace();
    if (keys) {
      grown->assign(keys->begin(), keys->end());
    } else {
      grown->emplace_back("an error");
    }
  };
  RedisCall call = reader_.check_for_growth(logs, note);
  ASSERT_TRUE(run_until([&] { return grown.has_value(); }));
  EXPECT_EQ(grown, Names{"log"});

  grown.reset();
  call = reader_.check_for_growth(std::span(logs).subspan(1), note);
  ASSERT_TRUE(run_until([&] { return grown.has_value(); }));
  EXPECT_EQ(grown, Names{}) << "no log has grown";

  grown.reset();
  redis("SET nothing x");
  call = reader_.check_for_growth(logs, note);
  ASSERT_TRUE(run_until([&] { return grown.has_value(); }));
  EXPECT_EQ(grown, Names{"an error"});

  grown.reset();
  proxy_.hold(Proxy::kToServer);
  call = reader_.check_for_growth(logs, note);
  ASSERT_TRUE(run_until([this] { return commands_held("XREAD") == 1; }));
  proxy_.cut();
  ASSERT_TRUE(run_until([&] { return grown.has_value(); }));
  EXPECT_EQ(grown, Names{}) << "a lost link is not an error";
}

}  // namespace
}  // namespace tailgate
