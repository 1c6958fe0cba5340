#include "gateway/auth/authenticator.h"

#include <gtest/gtest.h>

#include <map>

#include "gateway/auth/jwt.h"
#include "tests/unit/auth/fake_providers.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::kAnn;
using testing::kBob;
using testing::kExpired;
using testing::key_set;
using testing::kNow;
using testing::sign_token;
using testing::SigningKey;
using Place = Credential::Kind;
using Kind = Verdict::Kind;
using UnknownKid = Authenticator::UnknownKid;

class AuthenticatorTest : public ::testing::Test {
 protected:
  // A route that takes bearer tokens of these providers.
  static Route route(std::vector<std::string> names, std::vector<Credential> credentials = {{}}) {
    Route made;
    made.name = "events";
    made.providers = std::move(names);
    made.credentials = std::move(credentials);
    return made;
  }

  Verdict authenticate(const Route& asked_route, const std::map<std::string, std::string>& headers,
                       std::string_view query = {}, UnknownKid unknown_kid = UnknownKid::kReport) {
    return authenticator_.authenticate(
        asked_route,
        {.query = query,
         .cookies = headers.contains("cookie") ? headers.at("cookie") : std::string(),
         .header =
             [&headers](const char* name) {
               const auto found = headers.find(name);
               return found == headers.end() ? std::optional<std::string_view>()
                                             : std::optional<std::string_view>(found->second);
             }},
        now_, unknown_kid);
  }
  // "ok ann", "401-expired"
  std::string summary(const Verdict& verdict) {
    std::string text = word_of(verdict);
    if (verdict.kind == Kind::kOk) text += ' ' + verdict.identity.user;
    if (!verdict.identity.session.empty()) text += " session " + verdict.identity.session;
    return text;
  }
  std::string bearer(const std::string& token, std::vector<std::string> names = {"p"}) {
    return summary(authenticate(route(std::move(names)), {{"authorization", "Bearer " + token}}));
  }

  testing::FakeProviders providers_;
  WallTime now_ = kNow;
  Authenticator authenticator_{[this](const std::string& name) { return providers_.provider(name); }};
};

TEST_F(AuthenticatorTest, NamesTheUserTheProviderAndTheExpiry) {
  providers_.add_secret("p", {"secret"}).leeway = seconds(5);
  const Verdict verdict = authenticate(
      route({"p"}), {{"authorization", "Bearer " + sign_token("secret", Algorithm::kHS256, kAnn)}});
  EXPECT_EQ(verdict.identity,
            (Identity{.user = "ann", .session = "", .provider = "p", .until = kNow + seconds(65)}));
}

TEST_F(AuthenticatorTest, ChecksNothingOnARouteForAnyone) {
  Route anyone = route({"p"});
  anyone.who = Who::kAnyone;
  EXPECT_EQ(summary(authenticate(anyone, {{"authorization", "Bearer garbage"}})), "open");
  Route application = route({"p"});
  application.auth = AuthBy::kApplication;
  EXPECT_EQ(summary(authenticate(application, {})), "open");
}

TEST_F(AuthenticatorTest, RefusesARequestWithoutACredential) {
  providers_.add_secret("p", {"secret"});
  EXPECT_EQ(summary(authenticate(route({"p"}), {})), "401-missing");
  EXPECT_EQ(summary(authenticate(route({"p"}), {{"authorization", "Basic YTpi"}})), "401-missing");
}

TEST_F(AuthenticatorTest, RefusesHugeTokens) {
  providers_.add_secret("p", {"secret"});
  const std::string claim = R"({"sub":"ann","x":")" + std::string(kMaxTokenBytes, 'x') + R"("})";
  EXPECT_EQ(bearer(sign_token("secret", Algorithm::kHS256, claim)), "401-malformed");
  EXPECT_EQ(bearer(std::string(1'000'000, 'a')), "401-malformed");
}

// ---- the order of credentials

const std::vector<Credential> kBlog = {
    {.kind = Place::kBearer, .name = {}},
    {.kind = Place::kTokenQuery, .name = "token"},
    {.kind = Place::kTokenCookie, .name = "accessToken"},
    {.kind = Place::kSessionHeader, .name = "x-session-id"},
    {.kind = Place::kSessionQuery, .name = "sessionId"},
};

class BlogCredentialsTest : public AuthenticatorTest {
 protected:
  BlogCredentialsTest() { providers_.add_secret("blog", {"secret"}); }
  std::string ask(const std::map<std::string, std::string>& headers, std::string_view query = {}) {
    return summary(authenticate(route({"blog"}, kBlog), headers, query));
  }

  const std::string ann_ = sign_token("secret", Algorithm::kHS256, kAnn);
  const std::string bob_ = sign_token("secret", Algorithm::kHS256, kBob);
  const std::string expired_ = sign_token("secret", Algorithm::kHS256, kExpired);
};

TEST_F(BlogCredentialsTest, AcceptsTheFirstGoodToken) {
  EXPECT_EQ(ask({{"authorization", "Bearer " + ann_}}, "token=" + bob_), "ok ann");
  EXPECT_EQ(ask({{"cookie", "accessToken=" + ann_}}, "token=" + bob_), "ok bob");
  EXPECT_EQ(ask({{"authorization", "Bearer " + ann_}}, "token=garbage"), "ok ann");
}

TEST_F(BlogCredentialsTest, RefusesABadExplicitTokenDespiteOtherCredentials) {
  EXPECT_EQ(ask({{"authorization", "Bearer " + expired_},
                 {"cookie", "accessToken=" + ann_},
                 {"x-session-id", "s"}}),
            "401-expired");
  EXPECT_EQ(ask({{"cookie", "accessToken=" + ann_}, {"x-session-id", "s"}}, "token=garbage"),
            "401-malformed");
  EXPECT_EQ(ask({{"x-session-id", "s"}}, "token=%zz"), "401-malformed");
}

TEST_F(BlogCredentialsTest, IgnoresABadCookie) {
  EXPECT_EQ(ask({{"cookie", "accessToken=" + expired_}, {"x-session-id", "s"}}), "ok  session s");
  EXPECT_EQ(ask({{"cookie", "accessToken=garbage"}}, "sessionId=s"), "ok  session s");
  EXPECT_EQ(ask({{"cookie", "accessToken=" + expired_}}), "401-expired") << "without another credential";
}

TEST_F(BlogCredentialsTest, ProvesUserAndSessionTogether) {
  EXPECT_EQ(ask({{"authorization", "Bearer " + ann_}, {"x-session-id", "s"}}), "ok ann session s");
  EXPECT_EQ(ask({{"x-session-id", "s1"}}, "sessionId=s2"), "ok  session s1");
}

TEST_F(BlogCredentialsTest, AcceptsAQuotedAndEncodedCookie) {
  std::string encoded;
  for (const char c : ann_) encoded += c == '.' ? std::string("%2E") : std::string(1, c);
  EXPECT_EQ(ask({{"cookie", "accessToken=\"" + encoded + '"'}}), "ok ann");
}

TEST_F(BlogCredentialsTest, RefusesAMalformedSessionIdUnlessAnEarlierTokenIsGood) {
  EXPECT_EQ(ask({{"x-session-id", "a b"}}), "401-malformed");
  EXPECT_EQ(ask({{"x-session-id", "a b"}, {"authorization", "Bearer " + ann_}}), "ok ann");
  EXPECT_EQ(ask({{"x-session-id", ""}}), "401-missing");
}

// ---- missing and changed keys

TEST_F(AuthenticatorTest, ReportsThatKeysHaveNeverBeenFetched) {
  providers_.add("p", {Algorithm::kRS256}, nullptr);
  const Verdict verdict = authenticate(
      route({"p"}), {{"authorization", "Bearer " + sign_token(SigningKey::rsa(), Algorithm::kRS256, kAnn)}});
  EXPECT_EQ(verdict.kind, Kind::kNoKeys);
  EXPECT_EQ(verdict.provider, "p");
  EXPECT_EQ(word_of(verdict), "503-keys");
  EXPECT_EQ(bearer("garbage"), "401-malformed") << "even without keys";
}

TEST_F(AuthenticatorTest, UsesNoWeakerCredentialWhileKeysAreMissing) {
  providers_.add("p", {Algorithm::kRS256}, nullptr);
  const std::string token = sign_token(SigningKey::rsa(), Algorithm::kRS256, kAnn);
  const Verdict verdict =
      authenticate(route({"p"}, kBlog), {{"cookie", "accessToken=" + token}, {"x-session-id", "s"}});
  EXPECT_EQ(verdict.kind, Kind::kNoKeys);
}

TEST_F(AuthenticatorTest, ReportsAnUnknownKidAndAcceptsItsTokenOnceTheKeyIsFetched) {
  providers_.add("p", {Algorithm::kRS256}, key_set({SigningKey::rsa().jwk(R"("kid":"1")")}));
  const std::string token = sign_token(SigningKey::other_rsa(), Algorithm::kRS256, kAnn, R"("kid":"2")");
  const Verdict verdict = authenticate(route({"p"}), {{"authorization", "Bearer " + token}});
  EXPECT_EQ(verdict.kind, Kind::kNoKeys);
  EXPECT_EQ(verdict.provider, "p");
  EXPECT_EQ(
      summary(authenticate(route({"p"}), {{"authorization", "Bearer " + token}}, "", UnknownKid::kRefuse)),
      "401-kid");
  providers_.set_keys(
      "p", key_set({SigningKey::rsa().jwk(R"("kid":"1")"), SigningKey::other_rsa().jwk(R"("kid":"2")")}));
  EXPECT_EQ(bearer(token), "ok ann");
}

TEST_F(AuthenticatorTest, RefusesACachedTokenWhoseKeyIsGone) {
  providers_.add("p", {Algorithm::kRS256}, key_set({SigningKey::rsa().jwk(R"("kid":"1")")}));
  const std::string token = sign_token(SigningKey::rsa(), Algorithm::kRS256, kAnn, R"("kid":"1")");
  EXPECT_EQ(bearer(token), "ok ann");
  providers_.set_keys("p", key_set({SigningKey::other_rsa().jwk(R"("kid":"1")")}));
  EXPECT_EQ(bearer(token), "401-signature");
}

TEST_F(AuthenticatorTest, NamesTheProviderAndTheClaimOfARefusedToken) {
  providers_.add_secret("p", {"secret"}).required = {"tenant"};
  const std::string token = sign_token("secret", Algorithm::kHS256, kAnn);
  for (const char* when : {"verified", "recalled"}) {
    const Verdict verdict = authenticate(route({"p"}), {{"authorization", "Bearer " + token}});
    EXPECT_EQ(word_of(verdict), "401-claims") << when;
    EXPECT_EQ(verdict.provider + ' ' + verdict.claim, "p tenant") << when;
  }
  const Verdict cookie =
      authenticate(route({"p"}, {{.kind = Place::kTokenCookie, .name = "t"}}), {{"cookie", "t=" + token}});
  EXPECT_EQ(cookie.provider + ' ' + cookie.claim, "p tenant") << "in a cookie";
  EXPECT_EQ(authenticate(route({"p"}), {}).claim, "");
}

// ---- the cache

TEST_F(AuthenticatorTest, VerifiesARepeatedTokenOnlyOnce) {
  providers_.add("p", {Algorithm::kES256}, key_set({SigningKey::p256().jwk()}));
  std::vector<std::string> tokens;
  for (int i = 0; i < 50; ++i) {
    tokens.push_back(
        sign_token(SigningKey::p256(), Algorithm::kES256, R"({"sub":"u)" + std::to_string(i) + R"("})"));
  }
  for (int i = 0; i < 2000; ++i) {
    const std::size_t which = static_cast<std::size_t>(i) % tokens.size();
    ASSERT_EQ(bearer(tokens[which]), "ok u" + std::to_string(which));
  }
  EXPECT_EQ(authenticator_.verifications(), tokens.size());
}

TEST_F(AuthenticatorTest, KeepsAnAcceptedTokenCachedDespiteManyRefusedOnes) {
  providers_.add_secret("p", {"secret"});
  const std::string token = sign_token("secret", Algorithm::kHS256, kAnn);
  EXPECT_EQ(bearer(token), "ok ann");
  for (int i = 0; i < 5000; ++i) EXPECT_EQ(bearer("garbage" + std::to_string(i)), "401-malformed");
  EXPECT_EQ(bearer(token), "ok ann");
  EXPECT_EQ(authenticator_.verifications(), 5001U);
}

TEST_F(AuthenticatorTest, VerifiesATokenAgainAfterForget) {
  providers_.add_secret("p", {"secret"});
  const std::string token = sign_token("secret", Algorithm::kHS256, kAnn);
  EXPECT_EQ(bearer(token), "ok ann");
  providers_.add_secret("p", {"another secret"});
  authenticator_.forget();
  EXPECT_EQ(bearer(token), "401-signature");
}

TEST_F(AuthenticatorTest, RefusesACachedTokenOnceItHasExpired) {
  providers_.add_secret("p", {"secret"}).leeway = seconds(5);
  const std::string token = sign_token("secret", Algorithm::kHS256, kAnn);
  EXPECT_EQ(bearer(token), "ok ann");
  now_ = kNow + seconds(65) - milliseconds(1);
  EXPECT_EQ(bearer(token), "ok ann");
  now_ = kNow + seconds(65);
  EXPECT_EQ(bearer(token), "401-expired");
}

TEST_F(AuthenticatorTest, AcceptsATokenOnceItsNbfHasPassed) {
  providers_.add_secret("p", {"secret"});
  const std::string token = sign_token("secret", Algorithm::kHS256, R"({"sub":"ann","nbf":1700000006})");
  EXPECT_EQ(bearer(token), "401-early");
  now_ = kNow + seconds(1);
  EXPECT_EQ(bearer(token), "ok ann");
}

TEST_F(AuthenticatorTest, CachesATokenForOneSetOfProvidersOnly) {
  providers_.add_secret("a", {"one"});
  providers_.add_secret("b", {"two"});
  const std::string token = sign_token("one", Algorithm::kHS256, kAnn);
  EXPECT_EQ(bearer(token, {"a"}), "ok ann");
  EXPECT_EQ(bearer(token, {"b"}), "401-signature");
  EXPECT_EQ(bearer(token, {"b", "a"}), "ok ann");
  EXPECT_EQ(bearer(token, {"b"}), "401-signature");
}

// The cache key holds the providers' names.  A name before a token must not lead to another route's entry.
TEST_F(AuthenticatorTest, FindsNoCachedTokenByAForgedPrefix) {
  providers_.add_secret("a", {"one"});
  providers_.add_secret("b", {"two"});
  const std::string token = sign_token("two", Algorithm::kHS256, kAnn);
  ASSERT_EQ(bearer(token, {"a", "b"}), "ok ann");
  const std::string size = std::to_string(token.size());
  for (const std::string& prefix :
       {std::string("b%00%00"), std::string("%00b%00%00"), std::string("b"), "1:b0:" + size + ':'}) {
    EXPECT_EQ(summary(authenticate(route({"a"}, {{.kind = Place::kTokenQuery, .name = "token"}}), {},
                                   "token=" + prefix + token)),
              "401-malformed")
        << prefix;
  }
}

}  // namespace
}  // namespace tailgate
