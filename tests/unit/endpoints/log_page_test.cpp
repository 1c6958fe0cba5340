#include "gateway/endpoints/log_page.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/stream_fixture.h"

namespace tailgate {
namespace {

using Direction = testing::LaggingProxy::Direction;

class LogPageTest : public testing::StreamTest {
 protected:
  LogPageTest() : StreamTest("wait_s = 1.5\n") {
    create_job("1");
    redis("XADD job:1:logs 2-1 text second");
    redis("XADD job:1:logs 3-1 text third");
  }

  testing::HttpClient open(const std::string& query = {}, const std::string& user = "alice") {
    return get("/old-lines/1" + query, identity(user, "old-lines", "1"));
  }
  static std::string body(testing::HttpClient& client) {
    return client.raw().substr(client.raw().find("\r\n\r\n") + 4);
  }
};

TEST_F(LogPageTest, AnswersTheNewestLinesInTheirOrder) {
  auto client = open("?limit=2");
  ASSERT_TRUE(run_until([&] { return client.status() == 200; }));
  EXPECT_EQ(body(client), R"({"lines":[{"id":"2-1","text":"second"},{"id":"3-1","text":"third"}],)"
                          R"("has_more":true,"oldest_id":"2-1"})");
}

TEST_F(LogPageTest, AnswersTheLinesBelowAnId) {
  auto client = open("?before_id=2-1");
  ASSERT_TRUE(run_until([&] { return client.status() == 200; }));
  EXPECT_EQ(body(client), R"({"lines":[{"id":"1-1","text":"first"}],"has_more":false,"oldest_id":"1-1"})");
}

TEST_F(LogPageTest, ReadsALongPageInSeveralSteps) {
  for (int i = 4; i <= 300; ++i) redis("XADD job:1:logs %d-1 text line", i);
  auto client = open("?limit=290");
  ASSERT_TRUE(run_until([&] { return client.got("\"oldest_id\":\"11-1\"}"); }))
      << client.raw().substr(0, 300);
}

TEST_F(LogPageTest, ReadsAgainWhenRedisIsLostDuringTheRead) {
  pages_path_.proxy.hold(Direction::kToClient);
  auto client = open();
  ASSERT_TRUE(run_until([&] { return !pages_path_.proxy.held(Direction::kToClient).empty(); }));
  pages_path_.proxy.cut();
  pages_path_.proxy.release(Direction::kToClient);
  EXPECT_TRUE(run_until([&] { return client.status() == 200; }));
  EXPECT_NE(body(client).find("third"), std::string::npos);
}

TEST_F(LogPageTest, IsUnavailableWhileRedisDoesNotAnswer) {
  pages_path_.proxy.hold(Direction::kToClient);
  auto client = open();
  EXPECT_TRUE(run_until([&] { return client.status() == 503; }));
}

TEST_F(LogPageTest, EndsWhenItsClientLeavesWhileRedisIsRead) {
  pages_path_.proxy.hold(Direction::kToClient);
  auto client = open();
  ASSERT_TRUE(run_until([&] { return !pages_path_.proxy.held(Direction::kToClient).empty(); }));
  EXPECT_EQ(streams_.count(), 1U);
  client.leave();
  EXPECT_TRUE(run_until([&] { return streams_.count() == 0; }));
}

TEST_F(LogPageTest, RefusesAForeignJobAtOnce) {
  auto client = open({}, "bob");
  EXPECT_TRUE(run_until([&] { return client.status() == 404; }));
}

TEST_F(LogPageTest, AnswersAKeyOfAnotherTypeWith500) {
  redis("DEL job:1:logs");
  redis("SET job:1:logs text");
  auto client = open();
  EXPECT_TRUE(run_until([&] { return client.status() == 500; }));
}

TEST_F(LogPageTest, IsCountedAsAnAnswerAndNotAsAStream) {
  auto client = open();
  ASSERT_TRUE(run_until([&] { return client.status() == 200; }));
  const std::string text = metrics();
  EXPECT_NE(text.find("tailgate_answers_total{route=\"old-lines\",status=\"200\"} 1\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("tailgate_streams_opened_total{route=\"old-lines\"} 0\n"), std::string::npos) << text;
}

class PatientLogPageTest : public testing::StreamTest {
 protected:
  PatientLogPageTest()
      : StreamTest(
            "[route.patient]\npath = \"/patient/{id}\"\nsource = \"pages\"\nkey = \"job:{id}:logs\"\n"
            "record = \"job\"\nrecord_grace_ms = 400\nwho = \"owner\"\nproviders = [\"p\"]\n"
            "credentials = [\"bearer\"]\nentry = [\"text\"]\n") {}

  testing::HttpClient open(const std::string& user = "alice") {
    return get("/patient/1", identity(user, "patient", "1"));
  }
};

TEST_F(PatientLogPageTest, WaitsForARecordThatDoesNotExistYet) {
  ASSERT_TRUE(run_until([&] { return all_links_are_up(); }));
  auto client = open();
  run_for(std::chrono::milliseconds(150));
  EXPECT_EQ(client.status(), 0);
  create_job("1");
  EXPECT_TRUE(run_until([&] { return client.status() == 200; }));
}

TEST_F(PatientLogPageTest, RefusesAMissingAndAForeignJobAfterTheSameTime) {
  ASSERT_TRUE(run_until([&] { return all_links_are_up(); }));
  auto missing = open();
  run_for(std::chrono::milliseconds(150));
  EXPECT_EQ(missing.status(), 0);
  EXPECT_TRUE(run_until([&] { return missing.status() == 404; }));
  create_job("1");
  auto foreign = open("bob");
  run_for(std::chrono::milliseconds(150));
  EXPECT_EQ(foreign.status(), 0);
  EXPECT_TRUE(run_until([&] { return foreign.status() == 404; }));
}

}  // namespace
}  // namespace tailgate
