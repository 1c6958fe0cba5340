#include "gateway/auth/credentials.h"

#include <gtest/gtest.h>

#include <map>

namespace tailgate {
namespace {

using Place = Credential::Kind;

// The credentials of blog's route, in its order.
const std::vector<Credential> kBlog = {
    {.kind = Place::kBearer, .name = {}},
    {.kind = Place::kTokenQuery, .name = "token"},
    {.kind = Place::kTokenCookie, .name = "accessToken"},
    {.kind = Place::kSessionHeader, .name = "x-session-id"},
    {.kind = Place::kSessionQuery, .name = "sessionId"},
    {.kind = Place::kSessionQuery, .name = "sessionid"},
};

std::vector<PresentedCredential> found(const std::map<std::string, std::string>& headers,
                                       std::string_view query = {},
                                       const std::vector<Credential>& places = kBlog) {
  const auto cookies = headers.find("cookie");
  return find_credentials(places, {.query = query,
                                   .cookies = cookies == headers.end() ? std::string() : cookies->second,
                                   .header = [&headers](const char* name) {
                                     const auto header = headers.find(name);
                                     return header == headers.end()
                                                ? std::optional<std::string_view>()
                                                : std::optional<std::string_view>(header->second);
                                   }});
}

// "token! a" is explicit, "token b" comes from a cookie, "session c" is a session id.
std::string summary(const std::vector<PresentedCredential>& all) {
  std::string text;
  for (const PresentedCredential& one : all) {
    if (!text.empty()) text += ", ";
    text += one.kind == PresentedCredential::Kind::kSession ? "session "
            : one.is_explicit                               ? "token! "
                                                            : "token ";
    text += one.text;
  }
  return text;
}

TEST(Credentials, AreFoundInTheRoutesOrder) {
  EXPECT_EQ(
      summary(found({{"x-session-id", "s1"}, {"cookie", "accessToken=c"}, {"authorization", "Bearer h"}},
                    "sessionid=s3&sessionId=s2&token=q")),
      "token! h, token! q, token c, session s1, session s2, session s3");
  EXPECT_EQ(summary(found({})), "");
}

TEST(Credentials, AreFoundOnlyInThePlacesOfTheRoute) {
  const std::vector<Credential> bearer_only = {kBlog[0]};
  EXPECT_EQ(summary(found({{"x-session-id", "s1"}, {"cookie", "accessToken=c"}}, "token=q&sessionId=s2",
                          bearer_only)),
            "");
}

TEST(Credentials, IncludeABearerTokenInAnyCase) {
  EXPECT_EQ(summary(found({{"authorization", "bearer h"}})), "token! h");
  EXPECT_EQ(summary(found({{"authorization", "BEARER   h  "}})), "token! h");
  EXPECT_EQ(summary(found({{"authorization", "Bearer\th"}})), "token! h");
}

TEST(Credentials, AreNotFoundInAnotherAuthorizationScheme) {
  for (const std::string value :
       {"Basic YTpi", "Digest a", "Bearer", "Bearer ", "Bearerh", "h", "", "Bearer: h", "Token h"}) {
    EXPECT_EQ(summary(found({{"authorization", value}})), "") << value;
  }
}

TEST(Credentials, MayBeQuotedAndEncodedInACookie) {
  EXPECT_EQ(summary(found({{"cookie", "theme=dark; accessToken=\"a%2Eb%2Ec\"; x=1"}})), "token a.b.c");
  EXPECT_EQ(summary(found({{"cookie", "accesstoken=c; xaccessToken=d"}})), "");
  EXPECT_EQ(summary(found({{"cookie", "accessToken="}})), "");
}

TEST(Credentials, AreNotFoundIfTheyAreEmpty) {
  EXPECT_EQ(summary(found({{"x-session-id", ""}}, "token=&sessionId=")), "");
}

TEST(Credentials, AreNotHiddenByAnEmptyValueBeforeThem) {
  EXPECT_EQ(summary(found({}, "token=&token=garbage")), "token! garbage");
  EXPECT_EQ(summary(found({}, "sessionId=&sessionId=s2")), "session s2");
}

TEST(Credentials, InAMalformedQueryCountAsAnEmptyToken) {
  const std::vector<Credential> token_only = {kBlog[1]};
  EXPECT_EQ(summary(found({}, "token=%zz", token_only)), "token! ");
  EXPECT_EQ(summary(found({}, "x=%4", token_only)), "token! ");
  const std::vector<Credential> sessions_only = {kBlog[4]};
  EXPECT_EQ(summary(found({}, "sessionId=%zz", sessions_only)), "token! ");
  const std::vector<Credential> headers_only = {kBlog[0], kBlog[3]};
  EXPECT_EQ(summary(found({}, "x=%4", headers_only)), "");
}

TEST(Credentials, AreDecodedInAQuery) {
  EXPECT_EQ(summary(found({}, "a&token=x%2Ey&token=z")), "token! x.y");
}

TEST(Credentials, IncludeAnEmptyTokenForASessionIdThatIsNotPrintable) {
  for (const std::string id : {"a b", "a\tb", "a\r\nb", "\x7F", "caf\xC3\xA9"}) {
    EXPECT_FALSE(is_session_id(id)) << id;
    EXPECT_EQ(summary(found({{"x-session-id", id}})), "token! ") << id;
  }
  EXPECT_EQ(summary(found({}, "sessionId=a%00")), "token! ");
  EXPECT_EQ(summary(found({}, "sessionId=a+b&sessionid=s-1")), "token! , session s-1");
  EXPECT_TRUE(is_session_id("!~"));
  EXPECT_TRUE(is_session_id(std::string(256, 's')));
  EXPECT_FALSE(is_session_id(std::string(257, 's')));
  EXPECT_FALSE(is_session_id(""));
}

}  // namespace
}  // namespace tailgate
