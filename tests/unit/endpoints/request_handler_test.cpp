#include "gateway/endpoints/request_handler.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/stream_fixture.h"

namespace tailgate {
namespace {

constexpr const char* kLimitsAndOrgs = R"(
[limits]
streams_per_user = 1

[cors]
origins = ["https://a.example"]

[record.in-org]
key      = "{org}:{id}"
user     = "user_id"
status   = "status"
terminal = ["ready"]

[route.orgs]
path        = "/orgs/{org}/jobs/{id}"
id_chars    = ":"
source      = "channel"
key         = "in:{org}:{id}:events"
record      = "in-org"
who         = "owner"
providers   = ["p"]
credentials = ["bearer"]
framing     = "raw"
ending      = [{ event = "end", data = '[${org},${id}]' }]
)";

class RequestHandlerTest : public testing::StreamTest {
 protected:
  RequestHandlerTest() : StreamTest(kLimitsAndOrgs) {}

  int status_of(std::string_view target, const HttpHeaders& headers = {}, std::string_view method = "GET") {
    auto client = get(target, headers, method);
    EXPECT_TRUE(run_until([&] { return client.status() != 0; }));
    last_ = client.raw();
    return client.status();
  }
  bool last_has(std::string_view text) const { return last_.find(text) != std::string::npos; }

  std::string last_;
};

TEST_F(RequestHandlerTest, AnswersAnUnknownPathWith404AndCountsIt) {
  EXPECT_EQ(status_of("/nothing"), 404);
  EXPECT_NE(metrics().find("tailgate_unrouted_total 1\n"), std::string::npos);
}

TEST_F(RequestHandlerTest, ChecksTheMethodBeforeTheIdentity) {
  EXPECT_EQ(status_of("/guarded/1", {}, "DELETE"), 405);
  EXPECT_TRUE(last_has("Allow: GET, OPTIONS\r\n"));
  EXPECT_EQ(status_of("/old-lines/1", {}, "DELETE"), 405);
  EXPECT_TRUE(last_has("Allow: GET, HEAD, OPTIONS\r\n"));
}

TEST_F(RequestHandlerTest, ChecksTheIdentityBeforeTheParameters) {
  EXPECT_EQ(status_of("/old-lines/1?limit=x"), 401);
  EXPECT_TRUE(last_has("WWW-Authenticate: "));
  EXPECT_EQ(status_of("/old-lines/1?limit=x", identity("alice", "old-lines", "1")), 422);
}

// A query that cannot be decoded may hold a token, but not on this route.
TEST_F(RequestHandlerTest, AnswersAnyQueryIfNoCredentialCanBeInIt) {
  EXPECT_EQ(status_of("/asked/1"), 503) << "the application cannot be reached";
  EXPECT_EQ(status_of("/asked/1?x=%"), 503);
  EXPECT_EQ(status_of("/asked/1?utm=100%&y=1"), 503);
}

TEST_F(RequestHandlerTest, RefusesAnIdentityForAnotherJobOrRoute) {
  create_job("1");
  EXPECT_EQ(status_of("/guarded/1", identity("alice", "guarded", "2")), 401);
  EXPECT_EQ(status_of("/guarded/1", identity("alice", "lines", "1")), 401);
  EXPECT_EQ(status_of("/guarded/1", {{"X-Tailgate-Identity", "v1.forged.seal"}}), 401);
  EXPECT_EQ(status_of("/guarded/1", identity("alice", "guarded", "1")), 200);
}

TEST_F(RequestHandlerTest, RefusesAnIdentityForTheSameJobIdOfAnotherOrg) {
  for (const char* org : {"acme", "umbrella"}) redis("HSET %s:7 user_id alice status running", org);
  EXPECT_EQ(status_of("/orgs/acme/jobs/7", identity("alice", "orgs", "acme/7")), 200);
  EXPECT_EQ(status_of("/orgs/umbrella/jobs/7", identity("alice", "orgs", "acme/7")), 401);
  EXPECT_EQ(status_of("/orgs/acme/jobs/7", identity("alice", "orgs", "7")), 401);
  EXPECT_EQ(status_of("/orgs/acme/jobs/7", identity("alice", "orgs", "7/acme")), 401);
}

TEST_F(RequestHandlerTest, ReadsTheRecordOfBothValuesOfThePath) {
  redis("HSET acme:eu:7 user_id alice status ready");
  EXPECT_EQ(status_of("/orgs/umbrella/jobs/eu:7", identity("alice", "orgs", "umbrella/eu:7")), 404);
  auto client = get("/orgs/acme/jobs/eu%3A7", identity("alice", "orgs", "acme/eu:7"));
  ASSERT_TRUE(run_until([&] { return client.ended_cleanly(); }));
  EXPECT_NE(client.events().find("event: end\ndata: [\"acme\",\"eu:7\"]\n"), std::string::npos);
}

TEST_F(RequestHandlerTest, AnswersAVerdictOfAuthWithItsStatus) {
  EXPECT_EQ(status_of("/guarded/1", {{"X-Tailgate-Verdict", "401-expired"}}), 401);
  EXPECT_EQ(status_of("/guarded/1", {{"X-Tailgate-Verdict", "503-keys"}}), 503);
}

TEST_F(RequestHandlerTest, RefusesAMalformedEntryId) {
  const HttpHeaders alice = identity("alice", "lines", "1");
  EXPECT_EQ(status_of("/lines/1?last_event_id=5", alice), 422);
  EXPECT_EQ(status_of("/lines/1?lastEventId=5", alice), 422);
  EXPECT_EQ(status_of("/lines/1?Last-Event-ID=end.", alice), 422);
  EXPECT_EQ(status_of("/lines/1?last_event_id=1-1&last_event_id=2", alice), 422);
  EXPECT_EQ(status_of("/lines/1?last_event_id=%zz", alice), 422);
}

TEST_F(RequestHandlerTest, ResumesAtTheHighestIdOfTheHeader) {
  create_job("1");
  redis("XADD job:1:logs 2-1 text second");
  redis("XADD job:1:logs 10-1 text third");
  for (const char* ids : {"1-1, 2-1", "2-1,1-1", "2-1, junk", ", 2-1", "0-0, 2-1, "}) {
    HttpHeaders headers = identity("alice", "lines", "1");
    headers.emplace_back("Last-Event-ID", ids);
    auto client = get("/lines/1", headers);
    ASSERT_TRUE(run_until([&] { return client.got("third"); })) << ids;
    EXPECT_FALSE(client.got("second")) << ids;
  }
}

TEST_F(RequestHandlerTest, ResumesAtTheHighestIdOfTheQuery) {
  create_job("1");
  redis("XADD job:1:logs 2-1 text second");
  redis("XADD job:1:logs 10-1 text third");
  for (const char* query : {"?last_event_id=2-1", "?lastEventId=2-1", "?Last-Event-ID=2-1",
                            "?last_event_id=1-1&lastEventId=2-1", "?lastEventId=2-1&lastEventId=0-0"}) {
    auto client = get("/lines/1" + std::string(query), identity("alice", "lines", "1"));
    ASSERT_TRUE(run_until([&] { return client.got("third"); })) << query;
    EXPECT_FALSE(client.got("second")) << query;
  }
}

TEST_F(RequestHandlerTest, TakesTheEndFromTheQueryAsFromTheHeader) {
  create_job("1");
  redis("HSET job:1 status ready");
  for (const char* name : {"last_event_id", "lastEventId", "Last-Event-ID"}) {
    const std::string query = '?' + std::string(name) + "=end";
    EXPECT_EQ(status_of("/guarded/1" + query, identity("alice", "guarded", "1")), 204) << query;
    EXPECT_EQ(status_of("/lines/1" + query, identity("alice", "lines", "1")), 204) << query;
    EXPECT_EQ(status_of("/lines/1" + query + ".1-1", identity("alice", "lines", "1")), 204) << query;
  }
}

TEST_F(RequestHandlerTest, HearsTheEndBesideAnEarlierIdOrATextThatCannotBeDecoded) {
  create_job("1");
  redis("HSET job:1 status ready");
  for (const char* query : {"last_event_id=0-0&lastEventId=end", "lastEventId=end&last_event_id=0-0",
                            "lastEventId=end&lastEventId=end.1-1", "q=100%&lastEventId=end",
                            "lastEventId=end&lastEventId=5-1&lastEventId=9-1",
                            "lastEventId=5-1&lastEventId=9-1&lastEventId=end"}) {
    EXPECT_EQ(status_of("/guarded/1?" + std::string(query), identity("alice", "guarded", "1")), 204) << query;
  }
}

TEST_F(RequestHandlerTest, IgnoresAnIdOfAChannelThatIsNotAnEnd) {
  create_job("1");
  EXPECT_EQ(status_of("/guarded/1?lastEventId=2026-01-01T00:00:00", identity("alice", "guarded", "1")), 200);
}

TEST_F(RequestHandlerTest, LimitsTheStreamsOfAUser) {
  create_job("1");
  auto first = get("/guarded/1", identity("alice", "guarded", "1"));
  ASSERT_TRUE(opened(first));
  EXPECT_EQ(status_of("/guarded/1", identity("alice", "guarded", "1")), 429);
  EXPECT_EQ(status_of("/guarded/1", identity("bob", "guarded", "1")), 404)
      << "another user has another limit";
  first.leave();
  ASSERT_TRUE(run_until([this] { return streams_.count() == 0; }));
  EXPECT_EQ(status_of("/guarded/1", identity("alice", "guarded", "1")), 200);
}

TEST_F(RequestHandlerTest, RefusesNewStreamsOnceTheProcessRefuses) {
  create_job("1");
  drain_.settle();
  EXPECT_EQ(status_of("/guarded/1", identity("alice", "guarded", "1")), 200);
  drain_.refuse();
  EXPECT_EQ(status_of("/guarded/1", identity("alice", "guarded", "1")), 503);
}

TEST_F(RequestHandlerTest, AnswersAPreflightWithoutAnIdentity) {
  const HttpHeaders preflight{{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "GET"}};
  EXPECT_EQ(status_of("/guarded/1", preflight, "OPTIONS"), 204);
  EXPECT_TRUE(last_has("Access-Control-Allow-Methods: GET, OPTIONS\r\n"));
  const HttpHeaders stranger{{"Origin", "https://b.example"}, {"Access-Control-Request-Method", "GET"}};
  EXPECT_EQ(status_of("/guarded/1", stranger, "OPTIONS"), 204);
  EXPECT_FALSE(last_has("Access-Control-Allow-Origin"));
  const HttpHeaders no_method{{"Origin", "https://a.example"}, {"Access-Control-Request-Method", ""}};
  EXPECT_EQ(status_of("/guarded/1", no_method, "OPTIONS"), 405) << "nginx answers so too";
}

}  // namespace
}  // namespace tailgate
