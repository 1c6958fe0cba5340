#include "gateway/endpoints/log_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/stream_fixture.h"

namespace tailgate {
namespace {

using Direction = testing::LaggingProxy::Direction;

class LogStreamTest : public testing::StreamTest {
 protected:
  LogStreamTest() : StreamTest("wait_s = 0.6\n") { create_job("1"); }

  testing::HttpClient open(const std::string& more = {}, HttpHeaders headers = {}) {
    const HttpHeaders alice = identity("alice", "lines", "1");
    headers.insert(headers.end(), alice.begin(), alice.end());
    return get("/lines/1" + more, headers);
  }
  static std::string line(const std::string& id, const std::string& text) {
    return "id: " + id + "\nevent: log\ndata: {\"id\":\"" + id + "\",\"text\":\"" + text + "\"}\n\n";
  }
  static std::string gap(const std::string& requested, const std::string& first) {
    return "event: gap\ndata: {\"requested\":\"" + requested + "\",\"first_available\":\"" + first +
           "\"}\n\n";
  }
  static std::size_t count(const std::string& text, std::string_view what) {
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++found;
    return found;
  }
};

// A worker writes the last line and then the terminal status.  The answers on the logs' link are late, so the
// stream learns of the status before it learns of the line.
TEST_F(LogStreamTest, SendsTheLastLineBeforeDoneWhenTheRecordIsReadFirst) {
  auto client = open();
  ASSERT_TRUE(opened(client));
  ASSERT_TRUE(run_until([&] { return log_feeds_.followed() == 1; }));
  logs_path_.proxy.hold(Direction::kToClient);
  redis("XADD job:1:logs 2-1 text last");
  redis("HSET job:1 status failed");
  const auto looks = records_.looks();
  ASSERT_TRUE(run_until([&] { return records_.looks() >= looks + 2; }));
  run_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(client.got("event: done")) << "before the last line was read";
  logs_path_.proxy.release(Direction::kToClient);
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + line("2-1", "last") +
                                 "event: done\ndata: {\"status\":\"failed\"}\nid: end.2-1\n\n");
}

TEST_F(LogStreamTest, DeliversLinesThatAreWrittenAfterTheOpening) {
  auto client = open();
  ASSERT_TRUE(opened(client));
  redis("XADD job:1:logs 2-1 text live");
  EXPECT_TRUE(run_until([&] { return client.got("live"); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + line("2-1", "live"));
}

TEST_F(LogStreamTest, ResumesWithoutGapOrDuplicate) {
  for (int i = 2; i <= 200; ++i) redis("XADD job:1:logs %d-1 text line", i);
  auto client = open({}, {{"Last-Event-ID", "1-1"}});
  ASSERT_TRUE(opened(client));
  redis("XADD job:1:logs 201-1 text line");
  ASSERT_TRUE(run_until([&] { return client.got("id: 201-1\n"); }));
  std::string expected = "retry: 3000\n\n";
  for (int i = 2; i <= 201; ++i) expected += line(std::to_string(i) + "-1", "line");
  EXPECT_EQ(client.events(), expected);
}

TEST_F(LogStreamTest, SendsAGapForAnEntryThatWasTrimmed) {
  redis("XADD job:1:logs 2-1 text second");
  redis("XADD job:1:logs 3-1 text third");
  redis("XTRIM job:1:logs MAXLEN 1");
  auto client = open("?last_event_id=1-1");
  EXPECT_TRUE(run_until([&] { return client.got("third"); }));
  EXPECT_EQ(client.events(),
            "retry: 3000\n\nevent: gap\ndata: {\"requested\":\"1-1\",\"first_available\":\"3-1\"}"
            "\n\n" +
                line("3-1", "third"));
}

TEST_F(LogStreamTest, SendsAllLinesToASlowClientWithABoundedBacklog) {
  const std::string text(20'000, 'x');
  auto client = open();
  ASSERT_TRUE(opened(client));
  ASSERT_TRUE(run_until([&] { return log_feeds_.followed() == 1; }));
  std::size_t most = 0;
  for (int i = 2; i <= 200; ++i) {
    redis("XADD job:1:logs %d-1 text %s", i, text.c_str());
    run_for(std::chrono::milliseconds(2));
    streams_.for_each([&](const ActiveRequest& stream) { most = std::max(most, stream.backlog()); });
  }
  EXPECT_LT(most, config_->routes[2].backlog_bytes + (1U << 20));
  ASSERT_TRUE(run_until([&] { return client.got("id: 200-1\n"); }));
  EXPECT_EQ(count(client.raw(), "event: log\n"), 199U);
  EXPECT_EQ(count(client.raw(), "event: gap\n"), 0U);
}

TEST_F(LogStreamTest, ResumesAtItsPositionAfterALossOfRedis) {
  auto client = open();
  ASSERT_TRUE(opened(client));
  redis("XADD job:1:logs 2-1 text before");
  ASSERT_TRUE(run_until([&] { return client.got("before"); }));
  logs_path_.proxy.cut();
  redis("XADD job:1:logs 3-1 text during");
  ASSERT_TRUE(run_until([&] { return client.got("during"); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + line("2-1", "before") + line("3-1", "during"));
}

TEST_F(LogStreamTest, AnswersAKeyOfAnotherTypeWith500) {
  redis("DEL job:1:logs");
  redis("SET job:1:logs text");
  auto client = open();
  EXPECT_TRUE(run_until([&] { return client.status() == 500; }));
}

TEST_F(LogStreamTest, SendsAGapAndEndsIfItsKeyTurnsIntoAnotherType) {
  auto client = open();
  ASSERT_TRUE(opened(client));
  redis("DEL job:1:logs");
  redis("SET job:1:logs text");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(),
            "retry: 3000\n\nevent: gap\ndata: {\"requested\":\"1-1\",\"first_available\":null}\n\n");
}

TEST_F(LogStreamTest, IsUnavailableIfTheTailIsNotAnsweredInTime) {
  logs_path_.proxy.hold(Direction::kToClient);
  auto client = open();
  EXPECT_TRUE(run_until([&] { return client.status() == 503; }));
}

TEST_F(LogStreamTest, EndsAtOnceForAJobThatHasEnded) {
  redis("HSET job:1 status ready");
  auto client = open();
  EXPECT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\nevent: done\ndata: {\"status\":\"ready\"}\nid: end.1-1\n\n");
  auto again = open({}, {{"Last-Event-ID", "end.1-1"}});
  EXPECT_TRUE(run_until([&] { return again.status() == 204; }));
}

TEST_F(LogStreamTest, TellsItsPositionToAClientThatIsDrainedBeforeItsFirstLine) {
  auto client = open();
  ASSERT_TRUE(opened(client));
  streams_.drain(Loop::now() + std::chrono::milliseconds(500));
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_TRUE(client.events().starts_with("retry: 3000\n\nid: 1-1\n\nretry: ")) << client.events();
}

TEST_F(LogStreamTest, TellsItsPositionWhenItsOwnTimeIsOver) {
  auto client = get("/short-lines/1", identity("alice", "short-lines", "1"));
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\nid: 1-1\n\n");
}

// As after a failover: the feed has sent 5-1, and the second stream begins at 6-1.  The other log has
// neither.
TEST_F(LogStreamTest, SendsAGapOfAReplacedLogAlsoToAStreamAheadOfTheFeed) {
  auto first = open();
  ASSERT_TRUE(opened(first));
  redis("XADD job:1:logs 5-1 text fifth");
  ASSERT_TRUE(run_until([&] { return first.got("fifth"); }));
  redis("XADD job:1:logs 6-1 text sixth");
  auto second = open();
  ASSERT_TRUE(opened(second));
  redis("DEL job:1:logs");
  for (const char* id : {"2-1", "4-1", "7-1"}) redis("XADD job:1:logs %s text other", id);
  ASSERT_TRUE(run_until([&] { return second.got("id: 7-1\n"); }));
  EXPECT_EQ(second.events(),
            "retry: 3000\n\nevent: gap\ndata: {\"requested\":\"6-1\",\"first_available\":\"2-1\"}\n\n" +
                line("7-1", "other"));
}

TEST_F(LogStreamTest, SendsAGapIfANewLogIsDeletedBeforeItsFirstRead) {
  auto client = open();
  ASSERT_TRUE(opened(client));
  ASSERT_TRUE(run_until([&] { return log_feeds_.followed() == 1; }));
  logs_path_.proxy.set_lag(Direction::kToServer, std::chrono::milliseconds(150));
  redis("DEL job:1:logs");
  redis("XADD job:1:logs 0-5 text lost");
  ASSERT_TRUE(run_until([&] { return client.got("event: gap"); }));
  redis("DEL job:1:logs");
  redis("XADD job:1:logs 2-1 text new");
  ASSERT_TRUE(run_until([&] { return client.got("new"); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + gap("1-1", "0-5") + gap("0-0", "2-1") + line("2-1", "new"));
}

// ---- the end of a log -------------------------------------------------------------------------------

class LogEndTest : public LogStreamTest {
 protected:
  // Opens a stream, ends the job, and waits until the stream has learned of the end.
  testing::HttpClient open_and_end() {
    auto client = open();
    EXPECT_TRUE(opened(client));
    EXPECT_TRUE(run_until([&] { return log_feeds_.followed() == 1; }));
    set_status("failed");
    return client;
  }
  // Returns when the stream has learned of the status.
  void set_status(const std::string& status) {
    redis("HSET job:1 status %s", status.c_str());
    const auto looks = records_.looks();
    EXPECT_TRUE(run_until([&] { return records_.looks() > looks; }));
    run_for(std::chrono::milliseconds(20));
  }
  // Writes a line with an id of the present time, and returns the id.
  std::string write(const std::string& text) const {
    return redis("XADD job:1:logs * text %s", text.c_str());
  }
  static std::string done(const std::string& id) {
    return "event: done\ndata: {\"status\":\"failed\"}\nid: end." + id + "\n\n";
  }
  // Opens a stream whose client has not received 60 lines when the job ends.  Until the test calls a function
  // of the client, the stream stays behind.  Returns the id of the newest line in `last`.
  testing::HttpClient open_slow_and_end(std::string& last) {
    auto client = open();
    EXPECT_TRUE(opened(client));
    EXPECT_TRUE(run_until([&] { return log_feeds_.followed() == 1; }));
    const std::string text(100'000, 'x');
    // The last read of the stream has room for more lines than there are.
    for (int i = 0; i < 60; ++i) ids_.push_back(last = write(i < 40 ? text : "short"));
    set_status("failed");
    return client;
  }
  // Replaces the log by one that lacks the newest 20 of the 60 lines of open_slow_and_end().
  void lose_newest_lines() const {
    redis("DEL job:1:logs");
    redis("XADD job:1:logs 1-1 text first");
    for (int i = 0; i < 40; ++i) redis("XADD job:1:logs %s text short", ids_[i].c_str());
  }
  // How often Redis has run a command.
  int calls_of(const std::string& command) const {
    const std::string statistics = redis("INFO commandstats");
    const std::string name = "cmdstat_" + command + ":calls=";
    const auto found = statistics.find(name);
    return found == std::string::npos ? 0 : std::stoi(statistics.substr(found + name.size()));
  }
  int tails() const { return calls_of("xinfo|stream"); }
  std::vector<std::string> ids_;
};

TEST_F(LogEndTest, SendsALineThatIsWrittenAfterTheTerminalStatus) {
  auto client = open_and_end();
  run_for(std::chrono::milliseconds(100));
  const std::string id = write("late");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + line(id, "late") + done(id));
}

TEST_F(LogEndTest, CountsTheSilenceFromTheLastEntry) {
  auto client = open_and_end();
  std::string expected = "retry: 3000\n\n";
  std::string id;
  for (int i = 0; i < 4; ++i) {
    run_for(std::chrono::milliseconds(200));
    ASSERT_FALSE(client.got("event: done")) << "after " << i << " lines";
    id = write("late");
    expected += line(id, "late");
  }
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), expected + done(id));
}

// A client that is behind gets no batches, so the stream notices new entries by the log's tail.
TEST_F(LogEndTest, CountsTheSilenceFromTheLastEntryForASlowClient) {
  std::string id;
  auto client = open_slow_and_end(id);
  run_for(std::chrono::milliseconds(200));
  write("late");
  run_for(std::chrono::milliseconds(200));
  id = write("latest");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(count(client.raw(), "event: log\n"), 62U);
  EXPECT_TRUE(client.got(done(id)));
}

TEST_F(LogEndTest, CountsTheSilenceFromALineThatTheStreamReadsByItself) {
  std::string id;
  auto client = open_slow_and_end(id);
  run_for(std::chrono::milliseconds(180));
  write("late");
  const TimePoint written = Loop::now();
  ASSERT_TRUE(run_until([&] {
    client.raw();  // the client catches up
    return Loop::now() >= written + std::chrono::milliseconds(160);
  }));
  ASSERT_FALSE(client.got("event: done")) << "silence was counted from the status";
  id = write("latest");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(count(client.raw(), "event: log\n"), 62U);
  EXPECT_TRUE(client.got(done(id)));
}

// A line of the job's next run may belong to another owner.
TEST_F(LogEndTest, SendsNothingBeyondTheEndThatWasDecided) {
  std::string last;
  auto client = open_slow_and_end(last);
  run_for(std::chrono::milliseconds(2500));
  write("next run");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(count(client.raw(), "event: log\n"), 60U);
  EXPECT_TRUE(client.got(done(last)));
  auto again = open({}, {{"Last-Event-ID", "end." + last}});
  EXPECT_TRUE(run_until([&] { return again.got("next run"); }));
}

TEST_F(LogEndTest, EndsForAnotherOwnerAlsoAfterTheEndWasDecided) {
  std::string last;
  auto client = open_slow_and_end(last);
  run_for(std::chrono::milliseconds(2500));
  redis("HSET job:1 user_id bob");
  set_status("running");
  write("secret of bob");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_LT(count(client.raw(), "event: log\n"), 60U);
  EXPECT_FALSE(client.got("secret of bob"));
  EXPECT_FALSE(client.got("event: done"));
}

TEST_F(LogEndTest, EndsAfterFiveSecondsIfTheLogIsNeverSilent) {
  auto client = open_and_end();
  const TimePoint ended = Loop::now();
  while (!client.ended_cleanly() && Loop::now() < ended + std::chrono::seconds(15)) {
    write("more");
    run_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(client.got("event: done"));
  EXPECT_GE(Loop::now(), ended + std::chrono::milliseconds(4500));
}

TEST_F(LogEndTest, GoesOnIfTheJobRunsAgainBeforeTheLogIsSilent) {
  auto client = open_and_end();
  redis("HSET job:1 status running");
  const auto looks = records_.looks();
  ASSERT_TRUE(run_until([&] {
    write("more");  // keeps the log from falling silent until the stream has learned of the new status
    return records_.looks() > looks;
  }));
  run_for(std::chrono::milliseconds(600));
  EXPECT_FALSE(client.got("event: done"));
  write("again");
  EXPECT_TRUE(run_until([&] { return client.got("again"); }));
}

TEST_F(LogEndTest, GoesOnIfTheJobRunsAgainInSilence) {
  auto client = open_and_end();
  run_for(std::chrono::milliseconds(100));
  redis("HSET job:1 status running");
  run_for(std::chrono::milliseconds(600));
  EXPECT_FALSE(client.got("event: done"));
  write("again");
  EXPECT_TRUE(run_until([&] { return client.got("again"); }));
}

// The watch of the record might see "failed" twice and not "running".
TEST_F(LogEndTest, EndsIfTheJobRunsAgainAndFailsAgainBetweenTwoLooks) {
  auto client = open_and_end();
  redis("HSET job:1 status running");
  const auto looks = records_.looks();
  ASSERT_TRUE(run_until([&] { return records_.looks() > looks; }));
  run_for(std::chrono::milliseconds(20));
  redis("HSET job:1 status failed");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + done("1-1"));
}

TEST_F(LogEndTest, SendsALineThatWasWrittenBeforeTheStatusWhileAReadWasInDoubt) {
  redis("XADD job:1:logs 2-1 text deleted");
  redis("XADD job:1:logs 3-1 text third");
  redis("XDEL job:1:logs 2-1");
  testing::LaggingProxy& logs = logs_path_.proxy;
  const auto is_held = [&] { return !logs.held(Direction::kToClient).empty(); };
  logs.hold(Direction::kToClient);
  auto client = get("/lines-at-once/1?last_event_id=2-1", identity("alice", "lines-at-once", "1"));
  ASSERT_TRUE(run_until(is_held));
  ASSERT_TRUE(logs.release_one(Direction::kToClient));  // the tail
  ASSERT_TRUE(opened(client));
  ASSERT_TRUE(run_until(is_held));  // the read, which begins after an entry that was deleted
  redis("XADD job:1:logs 4-1 text last");
  set_status("failed");
  run_for(std::chrono::milliseconds(50));
  logs.release(Direction::kToClient);
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + line("3-1", "third") + line("4-1", "last") + done("4-1"));
}

TEST_F(LogEndTest, WaitsForTheFirstLineOfALogThatDoesNotExistYet) {
  redis("DEL job:1:logs");
  redis("HSET job:1 status failed");
  auto client = open();
  ASSERT_TRUE(opened(client));
  run_for(std::chrono::milliseconds(100));
  const std::string id = write("error");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + line(id, "error") + done(id));
}

TEST_F(LogEndTest, WaitsAlsoIfTheJobHasEndedJustBeforeTheOpening) {
  redis("HSET job:1 status failed");
  write("early");
  auto client = open();
  ASSERT_TRUE(opened(client));
  run_for(std::chrono::milliseconds(100));
  const std::string id = write("late");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + line(id, "late") + done(id));
}

TEST_F(LogEndTest, SendsTheRestToAClientThatSawAnEarlierEnd) {
  redis("HSET job:1 status failed");
  redis("XADD job:1:logs 2-1 text late");
  auto client = open({}, {{"Last-Event-ID", "end.1-1"}});
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + line("2-1", "late") + done("2-1"));
  auto again = open({}, {{"Last-Event-ID", "end.2-1"}});
  EXPECT_TRUE(run_until([&] { return again.status() == 204; }));
}

// Redis reports the id of the newest entry ever as the log's last id.
TEST_F(LogEndTest, StopsAClientWhoseNewestEntryWasDeleted) {
  redis("XADD job:1:logs 2-1 text secret");
  redis("XDEL job:1:logs 2-1");
  redis("HSET job:1 status failed");
  auto client = open({}, {{"Last-Event-ID", "1-1"}});
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + done("2-1"));
  auto again = open({}, {{"Last-Event-ID", "end.2-1"}});
  EXPECT_TRUE(run_until([&] { return again.status() == 204; }));
}

TEST_F(LogEndTest, StopsAClientWhoseNewestEntryWasDeletedBeforeItWasRead) {
  auto client = open_and_end();
  const std::string id = redis("EVAL %s 1 job:1:logs",
                               "local id = redis.call('XADD', KEYS[1], '*', 'text', 'secret')\n"
                               "redis.call('XDEL', KEYS[1], id)\n"
                               "return id");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + done(id));
  auto again = open({}, {{"Last-Event-ID", "end." + id}});
  EXPECT_TRUE(run_until([&] { return again.status() == 204; }));
}

TEST_F(LogEndTest, SendsTheLinesOfALogThatReplacedItsOwnWhileASlowClientReads) {
  std::string last;
  auto client = open_slow_and_end(last);
  run_for(std::chrono::milliseconds(2500));
  redis("DEL job:1:logs");
  redis("XADD job:1:logs 1-1 text new");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_TRUE(
      client.events().ends_with(",\"first_available\":\"1-1\"}\n\n" + line("1-1", "new") + done("1-1")));
}

// As after a failover to a server that never got the newest lines.
TEST_F(LogEndTest, SendsAGapIfTheLogHasLostItsNewestLinesSinceTheEndWasDecided) {
  std::string last;
  auto client = open_slow_and_end(last);
  run_for(std::chrono::milliseconds(2500));
  lose_newest_lines();
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(count(client.raw(), "event: log\n"), 40U);
  EXPECT_TRUE(client.events().ends_with(gap(ids_[39], "1-1") + done(ids_[39])));
}

TEST_F(LogEndTest, SendsAGapIfTheLogHasLostItsNewestLinesWhileTheEndIsBeingDecided) {
  std::string last;
  auto client = open_slow_and_end(last);
  const auto before = tails();
  ASSERT_TRUE(run_until([&] { return tails() > before; }));
  run_for(std::chrono::milliseconds(20));  // the stream has got this tail
  lose_newest_lines();
  ASSERT_TRUE(run_until([&] { return tails() > before + 1; }));
  run_for(std::chrono::milliseconds(20));
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(count(client.raw(), "event: log\n"), 40U);
  EXPECT_EQ(count(client.raw(), "event: gap\n"), 1U);
  EXPECT_TRUE(client.events().ends_with(line(ids_[39], "short") + done(ids_[39])));
}

TEST_F(LogEndTest, SendsAGapIfANewerLineFollowsLostLinesAfterTheEndWasDecided) {
  std::string last;
  auto client = open_slow_and_end(last);
  run_for(std::chrono::milliseconds(2500));
  lose_newest_lines();
  write("newer");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(count(client.raw(), "event: log\n"), 40U);
  EXPECT_TRUE(client.events().ends_with(gap(ids_[39], "1-1") + done(last)));
}

TEST_F(LogEndTest, RarelyReadsALogThatEndsTooEarlyWhileItsTailIsForbidden) {
  std::string last;
  auto client = open_slow_and_end(last);
  run_for(std::chrono::milliseconds(2500));
  redis("ACL SETUSER default -xinfo");
  lose_newest_lines();
  ASSERT_TRUE(run_until([&] { return count(client.raw(), "event: log\n") == 40; }));
  const int reads = calls_of("xrange");
  run_for(std::chrono::milliseconds(2500));
  EXPECT_LE(calls_of("xrange"), reads + 2);
  EXPECT_FALSE(client.got("event: done"));
  redis("ACL SETUSER default +xinfo");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_TRUE(client.events().ends_with(gap(ids_[39], "1-1") + done(ids_[39])));
}

// The log's last id is above the last entry, but no entry was deleted.
TEST_F(LogEndTest, SendsAGapIfTheLogHasAnotherLastIdThanItsEntriesHave) {
  std::string last;
  auto client = open_slow_and_end(last);
  run_for(std::chrono::milliseconds(2500));
  lose_newest_lines();
  redis("XSETID job:1:logs %s", last.c_str());
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_TRUE(client.events().ends_with(gap(ids_[39], "1-1") + done(last)));
}

TEST_F(LogEndTest, SendsDoneIfItsKeyTurnsIntoAnotherTypeAfterTheEnd) {
  auto client = open_and_end();
  redis("DEL job:1:logs");
  redis("SET job:1:logs text");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(
      client.events(),
      "retry: 3000\n\nevent: gap\ndata: {\"requested\":\"1-1\",\"first_available\":null}\n\n" + done("1-1"));
}

// While Redis does not answer, no worker can write.
TEST_F(LogEndTest, DoesNotTakeARedisThatStandsStillForSilence) {
  auto client = open_and_end();
  logs_path_.proxy.hold(Direction::kToServer);
  run_for(std::chrono::milliseconds(600));
  logs_path_.proxy.release(Direction::kToServer);
  run_for(std::chrono::milliseconds(150));
  const std::string id = write("late");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + line(id, "late") + done(id));
}

TEST_F(LogEndTest, CountsTheSilenceAnewAfterALossOfRedis) {
  auto client = open_and_end();
  run_for(std::chrono::milliseconds(200));
  logs_path_.proxy.refuse();
  logs_path_.proxy.cut();
  run_for(std::chrono::milliseconds(300));
  logs_path_.proxy.accept();
  ASSERT_TRUE(run_until([&] { return logs_link_.up(); }));
  run_for(std::chrono::milliseconds(150));
  const std::string id = write("late");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + line(id, "late") + done(id));
}

// Redis closes the pages' link over each page that is too large for its client-output-buffer-limit.
TEST_F(LogEndTest, EndsAlthoughAnotherLinkReconnectsAgainAndAgain) {
  auto client = open_and_end();
  for (int i = 0; i < 10 && !client.ended_cleanly(); ++i) {
    streams_.on_redis_up();
    run_for(std::chrono::milliseconds(200));
  }
  EXPECT_TRUE(client.ended_cleanly());
  EXPECT_TRUE(client.got(done("1-1")));
}

TEST_F(LogEndTest, RarelyReadsTheRecordWhileTheTailIsForbidden) {
  auto client = open();
  ASSERT_TRUE(opened(client));
  ASSERT_TRUE(run_until([&] { return log_feeds_.followed() == 1; }));
  redis("ACL SETUSER default -xinfo");
  set_status("failed");
  const auto looks = records_.looks();
  run_for(std::chrono::milliseconds(2500));
  EXPECT_LE(records_.looks(), looks + 5) << "each second the watch, and once the end";
  EXPECT_FALSE(client.got("event: done"));
  redis("ACL SETUSER default +xinfo");
  EXPECT_TRUE(run_until([&] { return client.got("event: done"); }));
}

TEST_F(LogEndTest, LosesNothingIfRedisIsLostBeforeTheLogIsSilent) {
  auto client = open_and_end();
  logs_path_.proxy.cut();
  const std::string id = write("late");
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_EQ(client.events(), "retry: 3000\n\n" + line(id, "late") + done(id));
}

}  // namespace
}  // namespace tailgate
