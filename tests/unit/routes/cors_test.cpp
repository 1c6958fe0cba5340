#include "gateway/routes/cors.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tailgate {
namespace {

CorsRule rule(const std::vector<std::string>& origins) {
  return *CorsRule::make(origins, {});
}

TEST(Cors, AllowsExactlyTheConfiguredOrigin) {
  const CorsRule cors = rule({"https://app.example.com", "http://localhost:3000"});
  EXPECT_TRUE(cors.allows("https://app.example.com"));
  EXPECT_TRUE(cors.allows("http://localhost:3000"));
  for (const char* origin :
       {"", "null", "*", "http://app.example.com", "https://app.example.com:8443", "https://app.example.com/",
        "https://app.example.com.evil.org", "https://evil.org", "https://xapp.example.com",
        "http://localhost", "HTTPS://APP.EXAMPLE.COM", "https://app.example.com\n"}) {
    EXPECT_FALSE(cors.allows(origin)) << origin;
  }
}

TEST(Cors, AllowsEveryHostBelowASuffix) {
  const CorsRule cors = rule({"https://*.example.com"});
  EXPECT_TRUE(cors.allows("https://a.example.com"));
  EXPECT_TRUE(cors.allows("https://a-1.b_2.example.com"));
  for (const char* origin :
       {"https://example.com", "https://.example.com", "https://a..example.com", "https://.a.example.com",
        "http://a.example.com", "https://a.example.com:8443", "https://evilexample.com",
        "https://evil.org/.example.com", "https://evil.org#.example.com", "https://evil.org@a.example.com",
        "https://evil.org:1.example.com", "https://A.example.com", "https://a.example.com.evil.org",
        "https://*.example.com"}) {
    EXPECT_FALSE(cors.allows(origin)) << origin;
  }
}

TEST(Cors, ASuffixMayHaveAPort) {
  const CorsRule cors = rule({"https://*.example.com:8443"});
  EXPECT_TRUE(cors.allows("https://a.example.com:8443"));
  EXPECT_FALSE(cors.allows("https://a.example.com"));
}

TEST(Cors, AnEmptyListAllowsNoOrigin) {
  EXPECT_FALSE(rule({}).allows("https://a.example.com"));
}

TEST(Cors, AcceptsOriginsOfOtherSchemesAndAddresses) {
  for (const char* origin : {"capacitor://localhost", "http://127.0.0.1:8080", "http://[::1]:8080",
                             "https://xn--bcher-kva.example"}) {
    EXPECT_TRUE(rule({origin}).allows(origin)) << origin;
  }
}

TEST(Cors, RefusesInvalidAndTooBroadOrigins) {
  for (const char* origin : {"*",
                             "null",
                             "",
                             "example.com",
                             "https://",
                             "https:///",
                             "https://a.example.com/",
                             "https://a.example.com/x",
                             "https://App.example.com",
                             "https://*",
                             "https://*.com",
                             "https://*.*.example.com",
                             "https://a.*.example.com",
                             "https://*example.com",
                             "http://*.example.com",
                             "https://a.*",
                             "https://a.example.com:",
                             "https://a.example.com:0",
                             "https://a.example.com:65536",
                             "https://a.example.com:443",
                             "http://a.example.com:80",
                             "https://a.example.com:x",
                             "https://a b.example.com",
                             "https://user@a.example.com",
                             "https://a..example.com",
                             "https://a.example.com\n",
                             "https://a.example.com?x",
                             "https://[::1",
                             "https://[x]",
                             "1http://a.example.com"}) {
    const auto made = CorsRule::make({origin}, {});
    ASSERT_FALSE(made) << origin;
    EXPECT_NE(made.error().find("origin \""), std::string::npos);
    EXPECT_EQ(made.error().find('\n'), std::string::npos);
  }
}

TEST(Cors, ListsTheAllowedHeaders) {
  EXPECT_EQ(CorsRule::make({}, {"authorization", "X-Session-Id"})->allowed_headers(),
            "authorization, X-Session-Id");
  EXPECT_EQ(rule({}).allowed_headers(), "");
}

TEST(Cors, RefusesAnInvalidHeaderName) {
  for (const char* header : {"", "a b", "a,b", "*", "a\r\nb", "a:"})
    EXPECT_FALSE(CorsRule::make({}, {header})) << header;
}

}  // namespace
}  // namespace tailgate
