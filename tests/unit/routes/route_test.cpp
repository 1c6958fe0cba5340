#include "gateway/routes/route.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace tailgate {
namespace {

PathPattern pattern(std::string_view text, bool trailing_slash = false) {
  return *PathPattern::compile(text, trailing_slash);
}

Route route(std::string name, std::string_view path) {
  Route made;
  made.name = std::move(name);
  made.path = pattern(path);
  return made;
}

bool paths_overlap(std::string_view a, std::string_view b) {
  return overlap(pattern(a), pattern(b));
}

TEST(JobId, IsOneSegmentOfLettersDigitsAndPunctuation) {
  EXPECT_TRUE(is_job_id("a"));
  EXPECT_TRUE(is_job_id("A-Z_0.9"));
  EXPECT_TRUE(is_job_id("..."));
  EXPECT_TRUE(is_job_id(std::string(128, 'x')));
  EXPECT_FALSE(is_job_id(std::string(129, 'x')));
  for (const char* text : {"", ".", "..", "a b", "a/b", "a:b", "{id}", "ä", "a\n", "a%20", "*", "a?"}) {
    EXPECT_FALSE(is_job_id(text)) << text;
  }
}

TEST(WithId, ReplacesEveryPlaceholder) {
  EXPECT_EQ(with_id("job:{id}:events", "7"), "job:7:events");
  EXPECT_EQ(with_id("{id}{id}", "{id}"), "{id}{id}");
  EXPECT_EQ(with_id("plain", "7"), "plain");
  EXPECT_EQ(with_id("", "7"), "");
}

TEST(PathPattern, MatchesItsSegmentsAndReturnsTheId) {
  const PathPattern events = pattern("/api/jobs/{id}/events/stream");
  EXPECT_EQ(events.match("/api/jobs/j-1/events/stream"), "j-1");
  for (const char* path :
       {"", "/", "/api/jobs/j-1/events", "/api/jobs/j-1/events/stream/", "/api/jobs/j-1/events/stream/x",
        "/api/jobs//events/stream", "//api/jobs/j-1/events/stream", "api/jobs/j-1/events/stream",
        "/API/jobs/j-1/events/stream", "/api/jobs/j-1/events/streams", "/api/jobs/../events/stream",
        "/api/jobs/./events/stream", "/api/jobs/a b/events/stream", "/x/api/jobs/j-1/events/stream"}) {
    EXPECT_FALSE(events.match(path)) << path;
  }
}

TEST(PathPattern, MayEndInTheId) {
  EXPECT_EQ(pattern("/jobs/{id}").match("/jobs/x"), "x");
  EXPECT_FALSE(pattern("/jobs/{id}").match("/jobs/"));
  EXPECT_FALSE(pattern("/jobs/{id}").match("/jobs"));
}

TEST(PathPattern, MayHaveNoId) {
  const PathPattern spools = pattern("/api/sse/stream");
  EXPECT_FALSE(spools.has_id());
  EXPECT_EQ(spools.match("/api/sse/stream"), "");
  EXPECT_FALSE(spools.match("/api/sse/{id}"));
}

TEST(PathPattern, MatchesATrailingSlashOnlyIfConfigured) {
  EXPECT_EQ(pattern("/jobs/{id}/stream", true).match("/jobs/7/stream/"), "7");
  EXPECT_EQ(pattern("/jobs/{id}/stream", true).match("/jobs/7/stream"), "7");
  EXPECT_FALSE(pattern("/jobs/{id}/stream", true).match("/jobs/7/stream//"));
  EXPECT_FALSE(pattern("/jobs/{id}/stream", false).match("/jobs/7/stream/"));
}

TEST(PathPattern, DecodesSegmentBySegment) {
  const PathPattern stream = pattern("/jobs/{id}/stream");
  EXPECT_EQ(stream.match("/jobs/%61%2D1/stream"), "a-1");
  EXPECT_EQ(stream.match("/%6Aobs/7/strea%6d"), "7");
  for (const char* path :
       {"/jobs/a%2Fb/stream", "/jobs/a%00/stream", "/jobs/%2e/stream", "/jobs/%2E%2e/stream",
        "/jobs/%/stream", "/jobs/%zz/stream", "/jobs%2F7/stream", "/jobs/7%0a/stream", "/jobs/%c0%ae/stream",
        "/jobs/%20/stream", "/jobs/7/stream%00"}) {
    EXPECT_FALSE(stream.match(path)) << path;
  }
}

TEST(PathPattern, RefusesAnInvalidPath) {
  for (const char* text :
       {"",         "api",          "/",         "//",   "/a//b", "/a/",  "/a/./b", "/a/../b", "/a/{id}/{id}",
        "/a/x{id}", "/a/{id}.json", "/a/{name}", "/a b", "/a?b",  "/a;b", "/a$b",   "/a\"b",   "/a%20b",
        "/ä",       "/a\nb",        "/a(b)",     "/a*"}) {
    EXPECT_FALSE(PathPattern::compile(text, false)) << text;
  }
}

TEST(PathPattern, OverlapsAnotherIfSomePathMatchesBoth) {
  EXPECT_TRUE(paths_overlap("/a/b", "/a/b"));
  EXPECT_TRUE(paths_overlap("/a/{id}", "/a/{id}"));
  EXPECT_TRUE(paths_overlap("/a/{id}", "/a/latest"));
  EXPECT_TRUE(paths_overlap("/a/latest", "/a/{id}"));
  EXPECT_TRUE(paths_overlap("/{id}/b", "/a/{id}"));
  EXPECT_FALSE(paths_overlap("/a/{id}", "/a/{id}/b"));
  EXPECT_FALSE(paths_overlap("/a/{id}", "/b/{id}"));
  EXPECT_FALSE(paths_overlap("/a/{id}", "/a/not:an@id"));
}

TEST(FindRoute, FindsTheRouteAndTheId) {
  std::vector<Route> routes;
  routes.push_back(route("status", "/api/jobs/{id}/stream"));
  routes.push_back(route("pages", "/api/jobs/{id}/logs"));
  routes.push_back(route("lines", "/api/jobs/{id}/logs/stream"));
  routes.push_back(route("spools", "/api/sse/stream"));
  const auto found = find_route(routes, "/api/jobs/42/logs");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->route->name, "pages");
  EXPECT_EQ(found->id, "42");
  EXPECT_EQ(find_route(routes, "/api/jobs/42/logs/stream")->route->name, "lines");
  EXPECT_EQ(find_route(routes, "/api/sse/stream")->route->name, "spools");
  EXPECT_FALSE(find_route(routes, "/api/jobs/42"));
  EXPECT_FALSE(find_route(routes, "/"));
  EXPECT_FALSE(find_route({}, "/api/sse/stream"));
}

TEST(Credential, IsParsedWithItsName) {
  using Kind = Credential::Kind;
  const auto parsed = [](std::string_view text) {
    const Credential credential = *Credential::parse(text);
    return std::pair(credential.kind, credential.name);
  };
  EXPECT_EQ(parsed("bearer"), std::pair(Kind::kBearer, std::string()));
  EXPECT_EQ(parsed("query:Token"), std::pair(Kind::kTokenQuery, std::string("Token")));
  EXPECT_EQ(parsed("cookie:accessToken"), std::pair(Kind::kTokenCookie, std::string("accessToken")));
  EXPECT_EQ(parsed("session-header:X-Sid"), std::pair(Kind::kSessionHeader, std::string("x-sid")));
  EXPECT_EQ(parsed("session-query:sid"), std::pair(Kind::kSessionQuery, std::string("sid")));
  EXPECT_TRUE(Credential::parse("session-query:sid")->is_session());
  EXPECT_FALSE(Credential::parse("cookie:sid")->is_session());
  for (const char* text : {"", "Bearer", "bearer:", "query", "query:", "query:a b", "cookie:a;b", "header:x"})
    EXPECT_FALSE(Credential::parse(text)) << text;
}

TEST(Placeholder, OtherThanIdIsUnknown) {
  EXPECT_EQ(check_placeholders("job:{id}:{job_id}:{x}").error(),
            "there is no {job_id}: a job's id is written {id}");
  for (const char* text : {"", "job", "{id}{id}", "{", "}{", "{id"}) EXPECT_TRUE(check_placeholders(text));
}

TEST(Route, ReservesTheChannelsOfTheGatewayItself) {
  for (const char* name : {"__keyspace@0__:job:1:logs", "__redis__:invalidate", "tailgate:control:0011"}) {
    EXPECT_TRUE(is_reserved_channel(name)) << name;
  }
  for (const char* name :
       {"job:1:events", "__redis__:invalidate:x", "tailgate:1", "__keyevent@0__:expired", ""}) {
    EXPECT_FALSE(is_reserved_channel(name)) << name;
  }
}

}  // namespace
}  // namespace tailgate
