#include "gateway/auth/authenticator.h"

#include <gtest/gtest.h>

#include <map>

#include "gateway/text/text.h"
#include "tests/support/signing_key.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::join_token;
using testing::jwks_of;
using testing::sign_token;
using testing::SigningKey;
using Place = Credential::Kind;
using Kind = Verdict::Kind;
using UnknownKid = Authenticator::UnknownKid;

constexpr WallTime kNow{seconds(1'700'000'000)};
constexpr std::string_view kAnn = R"({"sub":"ann","exp":1700000060})";
constexpr std::string_view kBob = R"({"sub":"bob","exp":1700000060})";
constexpr std::string_view kExpired = R"({"sub":"ann","exp":1699990000})";

std::shared_ptr<const KeySet> key_set(std::initializer_list<std::string> jwks) {
  return std::make_shared<const KeySet>(parse_jwks(jwks_of(jwks))->keys);
}

class Providers final : public Issuers {
 public:
  // A provider with public keys.
  ProviderRule& add(const std::string& name, std::vector<Algorithm> algorithms,
                    std::shared_ptr<const KeySet> keys) {
    ProviderRule& rule = rules_[name];
    rule.name = name;
    rule.algorithms = std::move(algorithms);
    rule.jwks = {"file:/keys"};
    keys_[name] = std::move(keys);
    return rule;
  }
  ProviderRule& add_secret(const std::string& name, std::vector<std::string> secrets,
                           std::vector<Algorithm> algorithms = {Algorithm::kHS256}) {
    ProviderRule& rule = rules_[name];
    rule.name = name;
    rule.algorithms = std::move(algorithms);
    rule.secrets = std::move(secrets);
    return rule;
  }
  void set_keys(const std::string& name, std::shared_ptr<const KeySet> keys) {
    keys_[name] = std::move(keys);
  }

  Issuer issuer(const std::string& provider) const override {
    const auto rule = rules_.find(provider);
    if (rule == rules_.end()) return {};
    const auto keys = keys_.find(provider);
    return {.rule = &rule->second, .keys = keys == keys_.end() ? nullptr : keys->second};
  }

 private:
  std::map<std::string, ProviderRule> rules_;
  std::map<std::string, std::shared_ptr<const KeySet>> keys_;
};

class JudgeTest : public ::testing::Test {
 protected:
  // A route that asks for a bearer token of these providers.
  static Route route(std::vector<std::string> names, std::vector<Credential> credentials = {{}}) {
    Route made;
    made.name = "events";
    made.providers = std::move(names);
    made.credentials = std::move(credentials);
    return made;
  }

  Verdict authenticate(const Route& asked, const std::map<std::string, std::string>& headers,
                       std::string_view query = {}, UnknownKid unknown_kid = UnknownKid::kReport) {
    return authenticator_.authenticate(asked,
                                       {.query = query,
                                        .header =
                                            [&headers](const char* name) {
                                              const auto found = headers.find(name);
                                              return found == headers.end()
                                                         ? std::optional<std::string_view>()
                                                         : std::optional<std::string_view>(found->second);
                                            }},
                                       now_, unknown_kid);
  }
  // "ok ann", "401-expired"
  std::string said(const Verdict& verdict) {
    std::string text = word_of(verdict);
    if (verdict.kind == Kind::kOk) text += ' ' + verdict.identity.user;
    if (!verdict.identity.session.empty()) text += " session " + verdict.identity.session;
    return text;
  }
  std::string bearer(const std::string& token, std::vector<std::string> names = {"p"}) {
    return said(authenticate(route(std::move(names)), {{"authorization", "Bearer " + token}}));
  }

  Providers providers_;
  WallTime now_ = kNow;
  Authenticator authenticator_{providers_};
};

TEST_F(JudgeTest, BelievesATokenOfEveryAlgorithmThatIsAllowed) {
  const std::pair<const SigningKey*, Algorithm> cases[] = {
      {&SigningKey::rsa(), Algorithm::kRS256},     {&SigningKey::rsa(), Algorithm::kRS384},
      {&SigningKey::rsa(), Algorithm::kRS512},     {&SigningKey::rsa(), Algorithm::kPS256},
      {&SigningKey::p256(), Algorithm::kES256},    {&SigningKey::p384(), Algorithm::kES384},
      {&SigningKey::ed25519(), Algorithm::kEdDSA},
  };
  for (const auto& [key, algorithm] : cases) {
    providers_.add("p", {algorithm}, key_set({key->jwk(R"("kid":"1")")}));
    EXPECT_EQ(bearer(sign_token(*key, algorithm, kAnn, R"("kid":"1")")), "ok ann") << name_of(algorithm);
    EXPECT_EQ(bearer(sign_token(*key, algorithm, kExpired, R"("kid":"1")")), "401-expired");
  }
  for (const Algorithm algorithm : {Algorithm::kHS256, Algorithm::kHS384, Algorithm::kHS512}) {
    providers_.add_secret("s", {"secret"}, {algorithm});
    EXPECT_EQ(bearer(sign_token("secret", algorithm, kAnn), {"s"}), "ok ann") << name_of(algorithm);
    EXPECT_EQ(bearer(sign_token("guess", algorithm, kAnn), {"s"}), "401-signature");
  }
}

TEST_F(JudgeTest, SaysWhoItIsAndWhoseTokenProvesIt) {
  providers_.add_secret("p", {"secret"}).leeway = seconds(5);
  const Verdict verdict = authenticate(
      route({"p"}), {{"authorization", "Bearer " + sign_token("secret", Algorithm::kHS256, kAnn)}});
  EXPECT_EQ(verdict.identity,
            (Identity{.user = "ann", .session = "", .provider = "p", .until = kNow + seconds(65)}));
}

TEST_F(JudgeTest, LooksAtNothingOnARouteForAnyone) {
  Route anyone = route({"p"});
  anyone.who = Who::kAnyone;
  EXPECT_EQ(said(authenticate(anyone, {{"authorization", "Bearer garbage"}})), "open");
  Route application = route({"p"});
  application.auth = AuthBy::kApplication;
  EXPECT_EQ(said(authenticate(application, {})), "open");
}

TEST_F(JudgeTest, RefusesWhoShowsNothing) {
  providers_.add_secret("p", {"secret"});
  EXPECT_EQ(said(authenticate(route({"p"}), {})), "401-missing");
  EXPECT_EQ(said(authenticate(route({"p"}), {{"authorization", "Basic YTpi"}})), "401-missing");
}

// ---- published attacks
// --------------------------------------------------------------------------------------------

TEST_F(JudgeTest, RefusesAlgNone) {
  providers_.add_secret("p", {"secret"});
  for (const std::string alg : {"none", "None", "NONE", "nOnE"}) {
    const std::string header = R"({"alg":")" + alg + R"("})";
    EXPECT_EQ(bearer(join_token(header, kAnn, "")), "401-algorithm") << alg;
    EXPECT_EQ(bearer(join_token(header, kAnn, "x")), "401-algorithm") << alg;
  }
}

// CVE-2015-9235: the public key, which everybody knows, taken for a shared secret.
TEST_F(JudgeTest, RefusesAPublicKeyUsedAsASharedSecret) {
  const std::string jwk = SigningKey::rsa().jwk(R"("kid":"1")");
  ProviderRule& rule = providers_.add("p", {Algorithm::kRS256}, key_set({jwk}));
  for (const std::string& secret : {SigningKey::rsa().pem(), jwk, jwks_of({jwk}), std::string()}) {
    EXPECT_EQ(bearer(sign_token(secret, Algorithm::kHS256, kAnn, R"("kid":"1")")), "401-algorithm");
  }
  // Not even where somebody allows both.
  rule.algorithms.push_back(Algorithm::kHS256);
  EXPECT_EQ(bearer(sign_token(SigningKey::rsa().pem(), Algorithm::kHS256, kAnn, R"("kid":"2")")),
            "401-algorithm");
}

TEST_F(JudgeTest, RefusesAnAlgorithmThatTheProviderDoesNotAllow) {
  providers_.add("p", {Algorithm::kRS256}, key_set({SigningKey::rsa().jwk(), SigningKey::p256().jwk()}));
  EXPECT_EQ(bearer(sign_token(SigningKey::rsa(), Algorithm::kRS512, kAnn)), "401-algorithm");
  EXPECT_EQ(bearer(sign_token(SigningKey::rsa(), Algorithm::kPS256, kAnn)), "401-algorithm");
  EXPECT_EQ(bearer(sign_token(SigningKey::p256(), Algorithm::kES256, kAnn)), "401-algorithm");
}

TEST_F(JudgeTest, RefusesAnAlgorithmThatIsNotTheKeysOwn) {
  providers_.add("p", {Algorithm::kRS256, Algorithm::kRS512},
                 key_set({SigningKey::rsa().jwk(R"("kid":"1","alg":"RS256")")}));
  EXPECT_EQ(bearer(sign_token(SigningKey::rsa(), Algorithm::kRS256, kAnn, R"("kid":"1")")), "ok ann");
  EXPECT_EQ(bearer(sign_token(SigningKey::rsa(), Algorithm::kRS512, kAnn, R"("kid":"1")")), "401-algorithm");
}

// CVE-2018-0114 and its kin.
TEST_F(JudgeTest, TakesNoKeyFromTheTokenItself) {
  providers_.add("p", {Algorithm::kRS256}, key_set({SigningKey::rsa().jwk(R"("kid":"1")")}));
  const SigningKey& evil = SigningKey::other_rsa();
  for (const std::string& more : {R"("kid":"1","jwk":)" + evil.jwk(R"("kid":"1")"), R"("jwk":)" + evil.jwk(),
                                  std::string(R"("kid":"1","jku":"https://evil.example.com/jwks.json")"),
                                  std::string(R"("kid":"1","x5u":"https://evil.example.com/cert.pem")"),
                                  std::string(R"("kid":"1","x5c":["MIIB"])")}) {
    EXPECT_EQ(bearer(sign_token(evil, Algorithm::kRS256, kAnn, more)), "401-signature") << more;
  }
}

TEST_F(JudgeTest, UsesAKidForNothingButComparing) {
  providers_.add("p", {Algorithm::kRS256}, key_set({SigningKey::rsa().jwk(R"("kid":"1")")}));
  for (const std::string kid :
       {"../../../../dev/null", "1' UNION SELECT 'secret", "1|id", "1\\u0000", "", "file:///etc/passwd"}) {
    const std::string token =
        sign_token(SigningKey::rsa(), Algorithm::kRS256, kAnn, R"("kid":")" + kid + '"');
    EXPECT_EQ(
        said(authenticate(route({"p"}), {{"authorization", "Bearer " + token}}, "", UnknownKid::kRefuse)),
        "401-kid")
        << kid;
  }
}

TEST_F(JudgeTest, RefusesCriticalExtensions) {
  providers_.add_secret("p", {"secret"});
  EXPECT_EQ(bearer(sign_token("secret", Algorithm::kHS256, kAnn, R"("crit":["b64"],"b64":false)")),
            "401-malformed");
}

// CVE-2022-21449.
TEST_F(JudgeTest, RefusesPsychicSignatures) {
  providers_.add("p", {Algorithm::kES256}, key_set({SigningKey::p256().jwk()}));
  EXPECT_EQ(bearer(join_token(R"({"alg":"ES256"})", kAnn, std::string(64, '\0'))), "401-signature");
  EXPECT_EQ(
      bearer(join_token(R"({"alg":"ES256"})", kAnn, std::string("\x30\x06\x02\x01\x00\x02\x01\x00", 8))),
      "401-signature");
}

TEST_F(JudgeTest, RefusesTruncatedAndPaddedSignatures) {
  providers_.add_secret("s", {"secret"});
  providers_.add("p", {Algorithm::kRS256, Algorithm::kES256},
                 key_set({SigningKey::rsa().jwk(), SigningKey::p256().jwk()}));
  for (const auto& [name, token] :
       {std::pair("s", sign_token("secret", Algorithm::kHS256, kAnn)),
        std::pair("p", sign_token(SigningKey::rsa(), Algorithm::kRS256, kAnn)),
        std::pair("p", sign_token(SigningKey::p256(), Algorithm::kES256, kAnn))}) {
    const std::size_t dot = token.rfind('.');
    const std::string text = token.substr(0, dot + 1);
    const std::string signature = *base64url_decode(token.substr(dot + 1));
    ASSERT_EQ(bearer(token, {name}), "ok ann");
    EXPECT_EQ(bearer(text, {name}), "401-malformed");
    EXPECT_EQ(bearer(token + "=", {name}), "401-malformed");
    EXPECT_EQ(bearer(text + base64url_encode(signature.substr(0, 1)), {name}), "401-signature");
    EXPECT_EQ(bearer(text + base64url_encode(signature.substr(0, signature.size() - 1)), {name}),
              "401-signature");
    EXPECT_EQ(bearer(text + base64url_encode(signature + '\0'), {name}), "401-signature");
    EXPECT_EQ(bearer(text + base64url_encode('\0' + signature), {name}), "401-signature");
  }
}

TEST_F(JudgeTest, RefusesAPayloadThatWasNotTheSignedOne) {
  providers_.add_secret("p", {"secret"});
  const std::string ann = sign_token("secret", Algorithm::kHS256, kAnn);
  const std::string bob = sign_token("secret", Algorithm::kHS256, kBob);
  EXPECT_EQ(bearer(bob.substr(0, bob.rfind('.')) + ann.substr(ann.rfind('.'))), "401-signature");
}

TEST_F(JudgeTest, RefusesMembersThatStandThereTwice) {
  providers_.add_secret("p", {"secret"});
  EXPECT_EQ(bearer(sign_token("secret", Algorithm::kHS256, R"({"sub":"ann","sub":"bob","exp":1700000060})")),
            "401-malformed");
  EXPECT_EQ(bearer(sign_token("secret", Algorithm::kHS256, kAnn, R"("alg":"none")")), "401-malformed");
}

TEST_F(JudgeTest, RefusesAWrongCurve) {
  providers_.add("p", {Algorithm::kES256, Algorithm::kES384},
                 key_set({SigningKey::p384().jwk(R"("kid":"1")")}));
  EXPECT_EQ(bearer(sign_token(SigningKey::p256(), Algorithm::kES256, kAnn, R"("kid":"1")")), "401-algorithm");
  EXPECT_EQ(bearer(sign_token(SigningKey::p384(), Algorithm::kES256, kAnn, R"("kid":"1")")), "401-algorithm");
}

TEST_F(JudgeTest, HasNoWeakRsaKeyToVerifyWith) {
  const SigningKey weak = SigningKey::make_rsa(1024);
  providers_.add("p", {Algorithm::kRS256}, key_set({weak.jwk(R"("kid":"1")")}));
  EXPECT_EQ(
      authenticate(route({"p"}),
                   {{"authorization", "Bearer " + sign_token(weak, Algorithm::kRS256, kAnn, R"("kid":"1")")}})
          .kind,
      Kind::kUnknownKid);
}

TEST_F(JudgeTest, RefusesHugeTokens) {
  providers_.add_secret("p", {"secret"});
  const std::string claim = R"({"sub":"ann","x":")" + std::string(7000, 'x') + R"("})";
  EXPECT_EQ(bearer(sign_token("secret", Algorithm::kHS256, claim)), "401-malformed");
  EXPECT_EQ(bearer(std::string(1'000'000, 'a')), "401-malformed");
  EXPECT_EQ(authenticator_.cached(), 0U);
}

TEST_F(JudgeTest, RefusesDatesInTextsAndTakesThemWithAFraction) {
  providers_.add_secret("p", {"secret"});
  EXPECT_EQ(bearer(sign_token("secret", Algorithm::kHS256, R"({"sub":"ann","exp":"1700000060"})")),
            "401-claims");
  EXPECT_EQ(bearer(sign_token("secret", Algorithm::kHS256, R"({"sub":"ann","exp":1700000060.5})")), "ok ann");
}

// ---- credentials in their order
// -----------------------------------------------------------------------------------

const std::vector<Credential> kBlog = {
    {.kind = Place::kBearer, .name = {}},
    {.kind = Place::kTokenQuery, .name = "token"},
    {.kind = Place::kTokenCookie, .name = "accessToken"},
    {.kind = Place::kSessionHeader, .name = "x-session-id"},
    {.kind = Place::kSessionQuery, .name = "sessionId"},
};

class BlogTest : public JudgeTest {
 protected:
  BlogTest() { providers_.add_secret("blog", {"secret"}); }
  std::string ask(const std::map<std::string, std::string>& headers, std::string_view query = {}) {
    return said(authenticate(route({"blog"}, kBlog), headers, query));
  }

  const std::string ann_ = sign_token("secret", Algorithm::kHS256, kAnn);
  const std::string bob_ = sign_token("secret", Algorithm::kHS256, kBob);
  const std::string expired_ = sign_token("secret", Algorithm::kHS256, kExpired);
};

TEST_F(BlogTest, BelievesTheFirstGoodToken) {
  EXPECT_EQ(ask({{"authorization", "Bearer " + ann_}}, "token=" + bob_), "ok ann");
  EXPECT_EQ(ask({{"cookie", "accessToken=" + ann_}}, "token=" + bob_), "ok bob");
  EXPECT_EQ(ask({{"authorization", "Bearer " + ann_}}, "token=garbage"), "ok ann");
}

TEST_F(BlogTest, RefusesABadExplicitTokenWhateverElseIsThere) {
  EXPECT_EQ(ask({{"authorization", "Bearer " + expired_},
                 {"cookie", "accessToken=" + ann_},
                 {"x-session-id", "s"}}),
            "401-expired");
  EXPECT_EQ(ask({{"cookie", "accessToken=" + ann_}, {"x-session-id", "s"}}, "token=garbage"),
            "401-malformed");
  EXPECT_EQ(ask({{"x-session-id", "s"}}, "token=%zz"), "401-malformed");
}

TEST_F(BlogTest, TakesABadCookieForNone) {
  EXPECT_EQ(ask({{"cookie", "accessToken=" + expired_}, {"x-session-id", "s"}}), "ok  session s");
  EXPECT_EQ(ask({{"cookie", "accessToken=garbage"}}, "sessionId=s"), "ok  session s");
  EXPECT_EQ(ask({{"cookie", "accessToken=" + expired_}}), "401-expired") << "but says what was wrong with it";
}

TEST_F(BlogTest, ProvesUserAndSessionTogether) {
  EXPECT_EQ(ask({{"authorization", "Bearer " + ann_}, {"x-session-id", "s"}}), "ok ann session s");
  EXPECT_EQ(ask({{"x-session-id", "s1"}}, "sessionId=s2"), "ok  session s1");
}

TEST_F(BlogTest, TakesACookieQuotedAndEncoded) {
  std::string encoded;
  for (const char c : ann_) encoded += c == '.' ? std::string("%2E") : std::string(1, c);
  EXPECT_EQ(ask({{"cookie", "accessToken=\"" + encoded + '"'}}), "ok ann");
}

TEST_F(BlogTest, TakesNoSessionIdThatCouldNotBeOne) {
  EXPECT_EQ(ask({{"x-session-id", "a b"}}), "401-missing");
  EXPECT_EQ(ask({{"x-session-id", ""}}), "401-missing");
}

// ---- several providers
// --------------------------------------------------------------------------------------------

TEST_F(JudgeTest, ChoosesTheProviderByItsIssuer) {
  providers_.add_secret("a", {"one"}).issuer = "https://a";
  providers_.add_secret("b", {"two"}).issuer = "https://b";
  const std::string_view of_a = R"({"sub":"ann","iss":"https://a"})";
  const std::string_view of_b = R"({"sub":"bob","iss":"https://b"})";
  EXPECT_EQ(bearer(sign_token("one", Algorithm::kHS256, of_a), {"a", "b"}), "ok ann");
  EXPECT_EQ(bearer(sign_token("two", Algorithm::kHS256, of_b), {"a", "b"}), "ok bob");
  EXPECT_EQ(bearer(sign_token("two", Algorithm::kHS256, of_a), {"a", "b"}), "401-signature")
      << "one issuer's key proves nothing in another's name";
  EXPECT_EQ(bearer(sign_token("two", Algorithm::kHS256, of_b), {"a"}), "401-issuer");
  EXPECT_EQ(bearer(sign_token("one", Algorithm::kHS256, kAnn), {"a", "b"}), "401-issuer");
}

TEST_F(JudgeTest, TriesProvidersWithoutAnIssuerInTheirOrder) {
  providers_.add_secret("a", {"one"});
  providers_.add_secret("b", {"two"});
  providers_.add_secret("c", {"three"}).issuer = "https://c";
  EXPECT_EQ(bearer(sign_token("two", Algorithm::kHS256, kBob), {"a", "b", "c"}), "ok bob");
  EXPECT_EQ(
      bearer(sign_token("three", Algorithm::kHS256, R"({"sub":"c","iss":"https://c"})"), {"a", "b", "c"}),
      "ok c");
  EXPECT_EQ(bearer(sign_token("three", Algorithm::kHS256, kBob), {"a", "b", "c"}), "401-signature");
  EXPECT_EQ(bearer(sign_token("two", Algorithm::kHS256, kExpired), {"a", "b"}), "401-expired")
      << "the provider that came furthest says what is wrong";
}

TEST_F(JudgeTest, BelievesNobodyWhereThereIsNoProvider) {
  EXPECT_EQ(bearer(sign_token("secret", Algorithm::kHS256, kAnn), {}), "401-issuer");
  EXPECT_EQ(bearer(sign_token("secret", Algorithm::kHS256, kAnn), {"unknown"}), "401-issuer");
}

TEST_F(JudgeTest, TriesEverySecretWhileOneIsBeingReplaced) {
  providers_.add_secret("p", {"new", "old"});
  EXPECT_EQ(bearer(sign_token("old", Algorithm::kHS256, kAnn)), "ok ann");
  EXPECT_EQ(bearer(sign_token("new", Algorithm::kHS256, kAnn)), "ok ann");
}

// ---- keys that come and go
// ----------------------------------------------------------------------------------------

TEST_F(JudgeTest, SaysThatTheKeysHaveNeverBeenHad) {
  providers_.add("p", {Algorithm::kRS256}, nullptr);
  const Verdict verdict = authenticate(
      route({"p"}), {{"authorization", "Bearer " + sign_token(SigningKey::rsa(), Algorithm::kRS256, kAnn)}});
  EXPECT_EQ(verdict.kind, Kind::kNoKeys);
  EXPECT_EQ(verdict.provider, "p");
  EXPECT_EQ(word_of(verdict), "503-keys");
  EXPECT_EQ(bearer("garbage"), "401-malformed") << "garbage is garbage whatever the keys";
}

TEST_F(JudgeTest, SendsNobodyAwayAsSomebodyWeakerBecauseKeysAreMissing) {
  providers_.add("p", {Algorithm::kRS256}, nullptr);
  const std::string token = sign_token(SigningKey::rsa(), Algorithm::kRS256, kAnn);
  const Verdict verdict =
      authenticate(route({"p"}, kBlog), {{"cookie", "accessToken=" + token}, {"x-session-id", "s"}});
  EXPECT_EQ(verdict.kind, Kind::kNoKeys);
}

TEST_F(JudgeTest, ReportsAnUnknownKidAndBelievesItsTokenOnceTheKeyIsThere) {
  providers_.add("p", {Algorithm::kRS256}, key_set({SigningKey::rsa().jwk(R"("kid":"1")")}));
  const std::string token = sign_token(SigningKey::other_rsa(), Algorithm::kRS256, kAnn, R"("kid":"2")");
  const Verdict verdict = authenticate(route({"p"}), {{"authorization", "Bearer " + token}});
  EXPECT_EQ(verdict.kind, Kind::kUnknownKid);
  EXPECT_EQ(verdict.provider, "p");
  EXPECT_EQ(said(authenticate(route({"p"}), {{"authorization", "Bearer " + token}}, "", UnknownKid::kRefuse)),
            "401-kid");
  providers_.set_keys(
      "p", key_set({SigningKey::rsa().jwk(R"("kid":"1")"), SigningKey::other_rsa().jwk(R"("kid":"2")")}));
  EXPECT_EQ(bearer(token), "ok ann");
}

TEST_F(JudgeTest, ForgetsWhatItBelievedOfAKeyThatIsGone) {
  providers_.add("p", {Algorithm::kRS256}, key_set({SigningKey::rsa().jwk(R"("kid":"1")")}));
  const std::string token = sign_token(SigningKey::rsa(), Algorithm::kRS256, kAnn, R"("kid":"1")");
  EXPECT_EQ(bearer(token), "ok ann");
  providers_.set_keys("p", key_set({SigningKey::other_rsa().jwk(R"("kid":"1")")}));
  EXPECT_EQ(bearer(token), "401-signature");
}

// ---- the cache
// ----------------------------------------------------------------------------------------------------

TEST_F(JudgeTest, VerifiesEachDistinctTokenOnceInAStorm) {
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

TEST_F(JudgeTest, NeverBelievesACachedTokenPastItsEnd) {
  providers_.add_secret("p", {"secret"}).leeway = seconds(5);
  const std::string token = sign_token("secret", Algorithm::kHS256, kAnn);
  EXPECT_EQ(bearer(token), "ok ann");
  now_ = kNow + seconds(65) - milliseconds(1);
  EXPECT_EQ(bearer(token), "ok ann");
  now_ = kNow + seconds(65);
  EXPECT_EQ(bearer(token), "401-expired");
}

TEST_F(JudgeTest, BelievesATokenThatWasEarlyOnceItsTimeHasCome) {
  providers_.add_secret("p", {"secret"});
  const std::string token = sign_token("secret", Algorithm::kHS256, R"({"sub":"ann","nbf":1700000006})");
  EXPECT_EQ(bearer(token), "401-early");
  now_ = kNow + seconds(1);
  EXPECT_EQ(bearer(token), "ok ann");
}

TEST_F(JudgeTest, KeepsWhatOneSetOfProvidersBelievesFromAnother) {
  providers_.add_secret("a", {"one"});
  providers_.add_secret("b", {"two"});
  const std::string token = sign_token("one", Algorithm::kHS256, kAnn);
  EXPECT_EQ(bearer(token, {"a"}), "ok ann");
  EXPECT_EQ(bearer(token, {"b"}), "401-signature");
  EXPECT_EQ(bearer(token, {"b", "a"}), "ok ann");
  EXPECT_EQ(bearer(token, {"b"}), "401-signature");
}

// The name of another provider in front of a token of that provider's must not find what was kept for both.
TEST_F(JudgeTest, KeepsNothingThatAStrangersTextCouldAskForInAnothersName) {
  providers_.add_secret("a", {"one"});
  providers_.add_secret("b", {"two"});
  const std::string token = sign_token("two", Algorithm::kHS256, kAnn);
  ASSERT_EQ(bearer(token, {"a", "b"}), "ok ann");
  const std::string size = std::to_string(token.size());
  for (const std::string& prefix :
       {std::string("b%00%00"), std::string("%00b%00%00"), std::string("b"), "1:b 0: " + size + ':'}) {
    EXPECT_EQ(said(authenticate(route({"a"}, {{.kind = Place::kTokenQuery, .name = "token"}}), {},
                                "token=" + prefix + token)),
              "401-malformed")
        << prefix;
  }
}

}  // namespace
}  // namespace tailgate
