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

Result<RouteTable> table(const std::vector<std::string>& paths) {
  std::vector<Route> routes;
  for (const std::string& path : paths) routes.push_back(route("r" + std::to_string(routes.size()), path));
  return RouteTable::make(std::move(routes));
}

TEST(JobId, IsOneSegmentOfPlainCharacters) {
  EXPECT_TRUE(is_job_id("a"));
  EXPECT_TRUE(is_job_id("A-Z_0.9"));
  EXPECT_TRUE(is_job_id("..."));
  EXPECT_TRUE(is_job_id(std::string(128, 'x')));
  EXPECT_FALSE(is_job_id(std::string(129, 'x')));
  for (const char* text : {"", ".", "..", "a b", "a/b", "a:b", "{id}", "ä", "a\n", "a%20", "*", "a?"}) {
    EXPECT_FALSE(is_job_id(text)) << text;
  }
}

TEST(WithId, ReplacesEveryPlace) {
  EXPECT_EQ(with_id("job:{id}:events", "7"), "job:7:events");
  EXPECT_EQ(with_id("{id}{id}", "{id}"), "{id}{id}");
  EXPECT_EQ(with_id("plain", "7"), "plain");
  EXPECT_EQ(with_id("", "7"), "");
}

TEST(PathPattern, MatchesItsSegmentsAndFindsTheId) {
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

TEST(PathPattern, AllowsALastSlashOnlyWhereConfigured) {
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

TEST(PathPattern, RefusesWhatIsNoPath) {
  for (const char* text :
       {"",         "api",          "/",         "//",   "/a//b", "/a/",  "/a/./b", "/a/../b", "/a/{id}/{id}",
        "/a/x{id}", "/a/{id}.json", "/a/{name}", "/a b", "/a?b",  "/a;b", "/a$b",   "/a\"b",   "/a%20b",
        "/ä",       "/a\nb",        "/a(b)",     "/a*"}) {
    EXPECT_FALSE(PathPattern::compile(text, false)) << text;
  }
}

TEST(RouteTable, FindsTheRouteAndTheId) {
  const auto routes = table(
      {"/api/jobs/{id}/stream", "/api/jobs/{id}/logs", "/api/jobs/{id}/logs/stream", "/api/sse/stream"});
  ASSERT_TRUE(routes);
  const auto found = routes->match("/api/jobs/42/logs");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->route->name, "r1");
  EXPECT_EQ(found->id, "42");
  EXPECT_EQ(routes->match("/api/jobs/42/logs/stream")->route->name, "r2");
  EXPECT_EQ(routes->match("/api/sse/stream")->route->name, "r3");
  EXPECT_FALSE(routes->match("/api/jobs/42"));
  EXPECT_FALSE(routes->match("/"));
}

TEST(RouteTable, RefusesTwoRoutesThatOnePathMatchesBoth) {
  EXPECT_FALSE(table({"/a/b", "/a/b"}));
  EXPECT_FALSE(table({"/a/{id}", "/a/{id}"}));
  EXPECT_FALSE(table({"/a/{id}", "/a/latest"}));
  EXPECT_FALSE(table({"/{id}/b", "/a/{id}"}));
  const auto refused = table({"/x", "/a/{id}", "/a/latest"});
  EXPECT_NE(refused.error().find("/a/latest"), std::string::npos);
}

TEST(RouteTable, AcceptsRoutesThatNoPathMatchesBoth) {
  EXPECT_TRUE(table({}));
  EXPECT_TRUE(table({"/a/{id}", "/a/{id}/b", "/b/{id}"}));
  EXPECT_TRUE(table({"/a/{id}", "/a/not:an@id"}));
}

TEST(Route, HasAKeyForEachJob) {
  Route made = route("r", "/a/{id}");
  made.key = "job:{id}:logs";
  EXPECT_EQ(made.key_for("7"), "job:7:logs");
}

}  // namespace
}  // namespace tailgate
