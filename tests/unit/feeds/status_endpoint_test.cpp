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
    rule_.path = "/jobs/{id}/status?full=1";
    rule_.status = "state";
    rule_.terminal = {"done"};
  }

  Access ask() {
    std::optional<Access> answer;
    const StatusEndpoint::Question question =
        endpoint_.ask(rule_, "7", {{"cookie", "session=abc"}}, [&](Access came, const Record* record) {
          EXPECT_FALSE(answer) << "answered twice";
          EXPECT_EQ(record != nullptr, came == Access::kAllowed);
          answer = came;
          if (record != nullptr) record_ = *record;
        });
    EXPECT_FALSE(answer) << "answered inside ask()";
    EXPECT_TRUE(run_until([&] { return answer.has_value(); }));
    return answer.value_or(Access::kUnavailable);
  }

  RawServer app_{loop_, path("app.sock"), {}};
  StatusEndpoint endpoint_{loop_, resolver_};
  RecordRule rule_;
  std::optional<Record> record_;
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

TEST_F(StatusEndpointTest, ReadsTheStatusAndWhetherItIsTerminal) {
  app_.answer = http(200, R"({"state":"running"})");
  ASSERT_EQ(ask(), Access::kAllowed);
  EXPECT_EQ(record_->status, "running");
  EXPECT_FALSE(record_->terminal);
  app_.answer = http(200, R"({"state":"done"})");
  ASSERT_EQ(ask(), Access::kAllowed);
  EXPECT_EQ(record_->status, "done");
  EXPECT_TRUE(record_->terminal);
}

TEST_F(StatusEndpointTest, MapsTheApplicationsStatusToAnAccess) {
  const std::vector<std::pair<int, Access>> cases = {
      {401, Access::kUnauthorized}, {403, Access::kNoRecord},    {404, Access::kNoRecord},
      {429, Access::kTooMany},      {302, Access::kUnavailable}, {500, Access::kUnavailable},
      {503, Access::kUnavailable},  {204, Access::kUnavailable}};
  for (const auto& [status, expected] : cases) {
    app_.answer = http(status, status == 204 ? "" : R"({"state":"running"})");
    EXPECT_EQ(ask(), expected) << status;
  }
}

TEST_F(StatusEndpointTest, IsUnavailableIfTheBodyIsNoJsonObject) {
  for (const char* body : {"", "[]", "<html>", R"({"state":)"}) {
    app_.answer = http(200, body);
    EXPECT_EQ(ask(), Access::kUnavailable) << body;
  }
}

TEST_F(StatusEndpointTest, IsUnavailableIfNobodyListens) {
  rule_.target = "unix:" + path("nobody.sock");
  EXPECT_EQ(ask(), Access::kUnavailable);
}

TEST_F(StatusEndpointTest, IsUnavailableAfterTheRulesTimeout) {
  app_.silent = true;
  rule_.timeout = std::chrono::milliseconds(50);
  EXPECT_EQ(ask(), Access::kUnavailable);
  EXPECT_EQ(app_.requests.size(), 1U);
}

TEST_F(StatusEndpointTest, DeliversNoAnswerToAQuestionThatHasDied) {
  app_.answer = http(200, R"({"state":"running"})");
  bool answered = false;
  {
    const auto question = endpoint_.ask(rule_, "7", {}, [&](Access, const Record*) { answered = true; });
  }
  EXPECT_EQ(ask(), Access::kAllowed) << "a later question is answered";
  EXPECT_FALSE(answered);
}

}  // namespace
}  // namespace tailgate
