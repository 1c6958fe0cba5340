#include "gateway/feeds/status_endpoint.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/loop_fixture.h"

namespace tailgate {
namespace {

using testing::RawServer;

std::string http(int status, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

class StatusEndpointTest : public testing::LoopTest {
 protected:
  StatusEndpointTest() {
    rule_.name = "job";
    rule_.kind = RecordRule::Kind::kHttp;
    rule_.target = "unix:" + path("app.sock");
    rule_.status = "state";
    rule_.terminal = {"done"};
  }

  Access ask() {
    std::optional<StatusAnswer> answer;
    const StatusEndpoint::Question question = endpoint_.ask(
        rule_, "/jobs/7/status?full=1", {{"cookie", "session=abc"}}, [&](const StatusAnswer& came) {
          EXPECT_FALSE(answer) << "answered twice";
          EXPECT_EQ(came.record.has_value(), came.access == Access::kAllowed);
          answer = came;
        });
    EXPECT_FALSE(answer) << "answered inside ask()";
    EXPECT_TRUE(run_until([&] { return answer.has_value(); }));
    last_ = answer.value_or(StatusAnswer());
    return last_.access;
  }

  RawServer app_{loop_, path("app.sock"), {}};
  StatusEndpoint endpoint_{loop_, resolver_};
  RecordRule rule_;
  StatusAnswer last_;
};

TEST_F(StatusEndpointTest, AsksForTheJobWithTheCallersHeaders) {
  app_.answer = http(200, R"({"state":"running"})");
  EXPECT_EQ(ask(), Access::kAllowed);
  ASSERT_EQ(app_.requests.size(), 1U);
  const std::string& head = app_.requests[0];
  EXPECT_TRUE(head.starts_with("GET /jobs/7/status?full=1 ")) << head;
  EXPECT_NE(head.find("\r\ncookie: session=abc\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("\r\naccept: application/json\r\n"), std::string::npos) << head;
}

TEST_F(StatusEndpointTest, NamesATcpTargetInTheHostHeader) {
  const RawServer application(loop_, http(200, R"({"state":"running"})"));
  rule_.target = application.address();
  EXPECT_EQ(ask(), Access::kAllowed);
  ASSERT_EQ(application.requests.size(), 1U);
  const std::string& head = application.requests[0];
  EXPECT_NE(head.find("\r\nHost: " + application.address() + "\r\n"), std::string::npos) << head;
}

TEST_F(StatusEndpointTest, ReadsTheStatusAndWhetherItIsTerminal) {
  app_.answer = http(200, R"({"state":"running"})");
  ASSERT_EQ(ask(), Access::kAllowed);
  EXPECT_EQ(last_.record->status, "running");
  EXPECT_FALSE(last_.record->terminal);
  app_.answer = http(200, R"({"state":"done"})");
  ASSERT_EQ(ask(), Access::kAllowed);
  EXPECT_EQ(last_.record->status, "done");
  EXPECT_TRUE(last_.record->terminal);
}

TEST_F(StatusEndpointTest, MapsTheApplicationsStatusToAnAccess) {
  const std::vector<std::pair<int, Access>> cases = {{401, Access::kUnauthorized}, {403, Access::kNoRecord},
                                                     {404, Access::kNoRecord},     {429, Access::kTooMany},
                                                     {302, Access::kNoAnswer},     {500, Access::kNoAnswer},
                                                     {503, Access::kNoAnswer},     {204, Access::kNoAnswer}};
  for (const auto& [status, expected] : cases) {
    app_.answer = http(status, status == 204 ? "" : R"({"state":"running"})");
    EXPECT_EQ(ask(), expected) << status;
  }
}

TEST_F(StatusEndpointTest, KeepsTheApplicationsRetryAfter) {
  for (const int status : {429, 503}) {
    for (const char* seconds : {"77", "0", "999999999"}) {
      app_.answer = "HTTP/1.0 " + std::to_string(status) + " No\r\nRetry-After: " + seconds +
                    "\r\nContent-Length: 0\r\n\r\n";
      ask();
      EXPECT_EQ(last_.retry_after, seconds) << status;
    }
  }
}

TEST_F(StatusEndpointTest, HandsOnNoRetryAfterThatIsNoDelay) {
  const std::string date = "Sun, 06 Nov 1994 08:49:37 GMT";
  for (const std::string& text :
       {std::string("soon"), std::string("-1"), std::string("1.5"), std::string("7\xa0"),
        date.substr(0, 26) + "CET", std::string(25, 'x') + " GMT", date.substr(0, 25) + "\tGMT",
        std::string("Sunday,6 Nov 1994 08:49:7 GMT"), std::string("Thu, 31 Feb 1994 08:49:37 GMT"),
        std::string("1000000000"), std::string(65, '7'), date}) {
    app_.answer = "HTTP/1.0 429 No\r\nRetry-After: " + text + "\r\nContent-Length: 0\r\n\r\n";
    ask();
    EXPECT_EQ(last_.retry_after, text == date ? date : "") << text;
  }
}

TEST_F(StatusEndpointTest, HasNoAnswerIfTheBodyIsNoJsonObject) {
  for (const char* body : {"", "[]", "<html>", R"({"state":)"}) {
    app_.answer = http(200, body);
    EXPECT_EQ(ask(), Access::kNoAnswer) << body;
  }
}

TEST_F(StatusEndpointTest, HasNoAnswerIfNobodyListens) {
  rule_.target = "unix:" + path("nobody.sock");
  EXPECT_EQ(ask(), Access::kNoAnswer);
}

TEST_F(StatusEndpointTest, HasNoAnswerAfterTheRulesTimeout) {
  app_.silent = true;
  rule_.timeout = std::chrono::milliseconds(50);
  EXPECT_EQ(ask(), Access::kNoAnswer);
  EXPECT_EQ(app_.requests.size(), 1U);
}

TEST_F(StatusEndpointTest, DeliversNoAnswerToAQuestionThatHasDied) {
  app_.answer = http(200, R"({"state":"running"})");
  bool answered = false;
  {
    const auto question =
        endpoint_.ask(rule_, "/jobs/7/status", {}, [&](const StatusAnswer&) { answered = true; });
  }
  EXPECT_EQ(ask(), Access::kAllowed) << "a later question is answered";
  EXPECT_FALSE(answered);
}

}  // namespace
}  // namespace tailgate
