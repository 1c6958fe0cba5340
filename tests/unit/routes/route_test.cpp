#include "gateway/routes/route.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace tailgate {
namespace {

Route route(std::string name, std::string_view path) {
  Route made;
  made.name = std::move(name);
  made.path = *PathPattern::compile(path, false);
  return made;
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

TEST(Route, ReservesTheChannelsOfRedisAndOfTheGatewayItself) {
  for (const char* name : {"__keyspace@0__:job:1:logs", "__keyevent@0__:hset", "__redis__:invalidate",
                           "tailgate:control:0011"}) {
    EXPECT_TRUE(is_reserved_channel(name)) << name;
  }
  for (const char* name : {"job:1:events", "__redis__:invalidate:x", "tailgate:1", "__key", ""}) {
    EXPECT_FALSE(is_reserved_channel(name)) << name;
  }
}

}  // namespace
}  // namespace tailgate
