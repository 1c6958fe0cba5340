#include "gateway/auth/token_check.h"

#include <gtest/gtest.h>

#include "gateway/text/text.h"
#include "tests/unit/auth/fake_providers.h"

namespace tailgate {
namespace {

using std::chrono::seconds;
using testing::join_token;
using testing::jwks_of;
using testing::kAnn;
using testing::kBob;
using testing::kExpired;
using testing::key_set;
using testing::kNow;
using testing::sign_token;
using testing::SigningKey;

class TokenCheckTest : public ::testing::Test {
 protected:
  // "accepted ann", "expired", "unknown kid of p", "no keys of p"
  std::string check(const std::string& token, const std::vector<std::string>& names = {"p"}) {
    const TokenCheck check = check_token(token, providers_.providers(names), kNow);
    switch (check.outcome) {
      case TokenOutcome::kAccepted:
        return "accepted " + check.user;
      case TokenOutcome::kRefused:
        return std::string(word_of(check.refusal));
      case TokenOutcome::kUnknownKid:
        return "unknown kid of " + check.provider;
      case TokenOutcome::kNoKeys:
        return "no keys of " + check.provider;
    }
    return "";
  }

  testing::FakeProviders providers_;
};

TEST_F(TokenCheckTest, AcceptsATokenOfEveryAllowedAlgorithm) {
  const std::pair<const SigningKey*, Algorithm> cases[] = {
      {&SigningKey::rsa(), Algorithm::kRS256},     {&SigningKey::rsa(), Algorithm::kRS384},
      {&SigningKey::rsa(), Algorithm::kRS512},     {&SigningKey::rsa(), Algorithm::kPS256},
      {&SigningKey::p256(), Algorithm::kES256},    {&SigningKey::p384(), Algorithm::kES384},
      {&SigningKey::ed25519(), Algorithm::kEdDSA},
  };
  for (const auto& [key, algorithm] : cases) {
    providers_.add("p", {algorithm}, key_set({key->jwk(R"("kid":"1")")}));
    EXPECT_EQ(check(sign_token(*key, algorithm, kAnn, R"("kid":"1")")), "accepted ann") << name_of(algorithm);
    EXPECT_EQ(check(sign_token(*key, algorithm, kExpired, R"("kid":"1")")), "expired");
  }
  for (const Algorithm algorithm : {Algorithm::kHS256, Algorithm::kHS384, Algorithm::kHS512}) {
    providers_.add_secret("s", {"secret"}, {algorithm});
    EXPECT_EQ(check(sign_token("secret", algorithm, kAnn), {"s"}), "accepted ann") << name_of(algorithm);
    EXPECT_EQ(check(sign_token("guess", algorithm, kAnn), {"s"}), "signature");
  }
}

TEST_F(TokenCheckTest, ReportsTheUserTheProviderAndTheExpiryWithLeeway) {
  providers_.add_secret("p", {"secret"}).leeway = seconds(5);
  const TokenCheck check =
      check_token(sign_token("secret", Algorithm::kHS256, kAnn), providers_.providers({"p"}), kNow);
  EXPECT_EQ(check.outcome, TokenOutcome::kAccepted);
  EXPECT_EQ(check.user, "ann");
  EXPECT_EQ(check.provider, "p");
  EXPECT_EQ(check.until, kNow + seconds(65));
}

TEST_F(TokenCheckTest, OnlyComparesAKid) {
  providers_.add("p", {Algorithm::kRS256}, key_set({SigningKey::rsa().jwk(R"("kid":"1")")}));
  for (const std::string kid :
       {"../../../../dev/null", "1' UNION SELECT 'secret", "1|id", "1\\u0000", "", "file:///etc/passwd"}) {
    EXPECT_EQ(check(sign_token(SigningKey::rsa(), Algorithm::kRS256, kAnn, R"("kid":")" + kid + '"')),
              "unknown kid of p")
        << kid;
  }
}

TEST_F(TokenCheckTest, IgnoresAWeakRsaKey) {
  const SigningKey weak = SigningKey::make_rsa(1024);
  providers_.add("p", {Algorithm::kRS256}, key_set({weak.jwk(R"("kid":"1")")}));
  EXPECT_EQ(check(sign_token(weak, Algorithm::kRS256, kAnn, R"("kid":"1")")), "unknown kid of p");
}

TEST_F(TokenCheckTest, NamesTheProviderWhoseKeysAreMissing) {
  providers_.add("p", {Algorithm::kRS256}, nullptr);
  EXPECT_EQ(check(sign_token(SigningKey::rsa(), Algorithm::kRS256, kAnn)), "no keys of p");
  EXPECT_EQ(check(sign_token(SigningKey::rsa(), Algorithm::kRS512, kAnn)), "algorithm");
  EXPECT_EQ(check("garbage"), "malformed") << "even without keys";
}

TEST_F(TokenCheckTest, ReportsMissingKeysRatherThanAnUnknownKid) {
  const auto one = key_set({SigningKey::rsa().jwk(R"("kid":"1")")});
  providers_.add("known", {Algorithm::kRS256}, one);
  providers_.add("other", {Algorithm::kRS256}, one);
  providers_.add("empty", {Algorithm::kRS256}, nullptr);
  providers_.add("wrong", {Algorithm::kES256}, one);
  const std::string token = sign_token(SigningKey::other_rsa(), Algorithm::kRS256, kAnn, R"("kid":"2")");
  EXPECT_EQ(check(token, {"wrong", "known", "other"}), "unknown kid of known");
  EXPECT_EQ(check(token, {"known", "wrong"}), "unknown kid of known");
  EXPECT_EQ(check(token, {"known", "empty", "wrong"}), "no keys of empty");
  EXPECT_EQ(check(token, {"empty", "known"}), "no keys of empty");
}

TEST_F(TokenCheckTest, DoesNotRefuseAnUnknownKeyWhileASourceHasNeverAnswered) {
  providers_.add("p", {Algorithm::kRS256}, key_set({SigningKey::rsa().jwk(R"("kid":"1")")}));
  auto providers = providers_.providers({"p"});
  providers.front().is_complete = false;
  const auto outcome = [&](const SigningKey& key, const std::string& header) {
    return check_token(sign_token(key, Algorithm::kRS256, kAnn, header), providers, kNow).outcome;
  };
  EXPECT_EQ(outcome(SigningKey::other_rsa(), R"("kid":"2")"), TokenOutcome::kNoKeys);
  EXPECT_EQ(outcome(SigningKey::other_rsa(), ""), TokenOutcome::kNoKeys) << "without a kid";
  EXPECT_EQ(outcome(SigningKey::other_rsa(), R"("kid":"1")"), TokenOutcome::kRefused);
  EXPECT_EQ(outcome(SigningKey::rsa(), R"("kid":"1")"), TokenOutcome::kAccepted);
}

TEST_F(TokenCheckTest, RefusesASymmetricTokenWhoseProviderHasNoSecret) {
  providers_.add_secret("p", {});
  EXPECT_EQ(check(sign_token("", Algorithm::kHS256, kAnn)), "algorithm");
  providers_.add_secret("rsa", {"secret"}, {Algorithm::kRS256});
  EXPECT_EQ(check(sign_token(SigningKey::rsa(), Algorithm::kRS256, kAnn), {"rsa"}), "algorithm");
}

// ---- published attacks

TEST_F(TokenCheckTest, RefusesAlgNone) {
  providers_.add_secret("p", {"secret"});
  for (const std::string alg : {"none", "None", "NONE", "nOnE"}) {
    const std::string header = R"({"alg":")" + alg + R"("})";
    EXPECT_EQ(check(join_token(header, kAnn, "")), "algorithm") << alg;
    EXPECT_EQ(check(join_token(header, kAnn, "x")), "algorithm") << alg;
  }
}

// CVE-2015-9235: an HS256 token that is signed with the public key.
TEST_F(TokenCheckTest, RefusesAPublicKeyUsedAsASharedSecret) {
  const std::string jwk = SigningKey::rsa().jwk(R"("kid":"1")");
  ProviderRule& rule = providers_.add("p", {Algorithm::kRS256}, key_set({jwk}));
  for (const std::string& secret : {SigningKey::rsa().pem(), jwk, jwks_of({jwk}), std::string()}) {
    EXPECT_EQ(check(sign_token(secret, Algorithm::kHS256, kAnn, R"("kid":"1")")), "algorithm");
  }
  // Also if the provider allows both algorithms.
  rule.algorithms.push_back(Algorithm::kHS256);
  EXPECT_EQ(check(sign_token(SigningKey::rsa().pem(), Algorithm::kHS256, kAnn, R"("kid":"2")")), "algorithm");
}

TEST_F(TokenCheckTest, RefusesAnAlgorithmThatTheProviderDoesNotAllow) {
  providers_.add("p", {Algorithm::kRS256}, key_set({SigningKey::rsa().jwk(), SigningKey::p256().jwk()}));
  EXPECT_EQ(check(sign_token(SigningKey::rsa(), Algorithm::kRS512, kAnn)), "algorithm");
  EXPECT_EQ(check(sign_token(SigningKey::rsa(), Algorithm::kPS256, kAnn)), "algorithm");
  EXPECT_EQ(check(sign_token(SigningKey::p256(), Algorithm::kES256, kAnn)), "algorithm");
}

TEST_F(TokenCheckTest, RefusesAnAlgorithmThatTheKeyDoesNotName) {
  providers_.add("p", {Algorithm::kRS256, Algorithm::kRS512},
                 key_set({SigningKey::rsa().jwk(R"("kid":"1","alg":"RS256")")}));
  EXPECT_EQ(check(sign_token(SigningKey::rsa(), Algorithm::kRS256, kAnn, R"("kid":"1")")), "accepted ann");
  EXPECT_EQ(check(sign_token(SigningKey::rsa(), Algorithm::kRS512, kAnn, R"("kid":"1")")), "algorithm");
}

// CVE-2018-0114 and similar: a key, or its address, in the token's header.
TEST_F(TokenCheckTest, TakesNoKeyFromTheToken) {
  providers_.add("p", {Algorithm::kRS256}, key_set({SigningKey::rsa().jwk(R"("kid":"1")")}));
  const SigningKey& evil = SigningKey::other_rsa();
  for (const std::string& more : {R"("kid":"1","jwk":)" + evil.jwk(R"("kid":"1")"), R"("jwk":)" + evil.jwk(),
                                  std::string(R"("kid":"1","jku":"https://evil.example.com/jwks.json")"),
                                  std::string(R"("kid":"1","x5u":"https://evil.example.com/cert.pem")"),
                                  std::string(R"("kid":"1","x5c":["MIIB"])")}) {
    EXPECT_EQ(check(sign_token(evil, Algorithm::kRS256, kAnn, more)), "signature") << more;
  }
}

TEST_F(TokenCheckTest, RefusesCriticalExtensions) {
  providers_.add_secret("p", {"secret"});
  EXPECT_EQ(check(sign_token("secret", Algorithm::kHS256, kAnn, R"("crit":["b64"],"b64":false)")),
            "malformed");
}

// CVE-2022-21449: r and s are 0.
TEST_F(TokenCheckTest, RefusesPsychicSignatures) {
  providers_.add("p", {Algorithm::kES256}, key_set({SigningKey::p256().jwk()}));
  EXPECT_EQ(check(join_token(R"({"alg":"ES256"})", kAnn, std::string(64, '\0'))), "signature");
  EXPECT_EQ(check(join_token(R"({"alg":"ES256"})", kAnn, std::string("\x30\x06\x02\x01\x00\x02\x01\x00", 8))),
            "signature");
}

TEST_F(TokenCheckTest, RefusesTruncatedAndPaddedSignatures) {
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
    ASSERT_EQ(check(token, {name}), "accepted ann");
    EXPECT_EQ(check(text, {name}), "malformed");
    EXPECT_EQ(check(token + "=", {name}), "malformed");
    EXPECT_EQ(check(text + base64url_encode(signature.substr(0, 1)), {name}), "signature");
    EXPECT_EQ(check(text + base64url_encode(signature.substr(0, signature.size() - 1)), {name}), "signature");
    EXPECT_EQ(check(text + base64url_encode(signature + '\0'), {name}), "signature");
    EXPECT_EQ(check(text + base64url_encode('\0' + signature), {name}), "signature");
  }
}

TEST_F(TokenCheckTest, RefusesAPayloadThatWasNotSigned) {
  providers_.add_secret("p", {"secret"});
  const std::string ann = sign_token("secret", Algorithm::kHS256, kAnn);
  const std::string bob = sign_token("secret", Algorithm::kHS256, kBob);
  EXPECT_EQ(check(bob.substr(0, bob.rfind('.')) + ann.substr(ann.rfind('.'))), "signature");
}

TEST_F(TokenCheckTest, RefusesDuplicateMembers) {
  providers_.add_secret("p", {"secret"});
  EXPECT_EQ(check(sign_token("secret", Algorithm::kHS256, R"({"sub":"ann","sub":"bob","exp":1700000060})")),
            "malformed");
  EXPECT_EQ(check(sign_token("secret", Algorithm::kHS256, kAnn, R"("alg":"none")")), "malformed");
}

TEST_F(TokenCheckTest, RefusesAWrongCurve) {
  providers_.add("p", {Algorithm::kES256, Algorithm::kES384},
                 key_set({SigningKey::p384().jwk(R"("kid":"1")")}));
  EXPECT_EQ(check(sign_token(SigningKey::p256(), Algorithm::kES256, kAnn, R"("kid":"1")")), "algorithm");
  EXPECT_EQ(check(sign_token(SigningKey::p384(), Algorithm::kES256, kAnn, R"("kid":"1")")), "algorithm");
}

TEST_F(TokenCheckTest, RefusesDatesInStringsAndAcceptsFractions) {
  providers_.add_secret("p", {"secret"});
  EXPECT_EQ(check(sign_token("secret", Algorithm::kHS256, R"({"sub":"ann","exp":"1700000060"})")), "claims");
  EXPECT_EQ(check(sign_token("secret", Algorithm::kHS256, R"({"sub":"ann","exp":1700000060.5})")),
            "accepted ann");
}

// ---- several providers

TEST_F(TokenCheckTest, ChoosesTheProviderByItsIssuer) {
  providers_.add_secret("a", {"one"}).issuer = "https://a";
  providers_.add_secret("b", {"two"}).issuer = "https://b";
  const std::string_view of_a = R"({"sub":"ann","iss":"https://a"})";
  const std::string_view of_b = R"({"sub":"bob","iss":"https://b"})";
  EXPECT_EQ(check(sign_token("one", Algorithm::kHS256, of_a), {"a", "b"}), "accepted ann");
  EXPECT_EQ(check(sign_token("two", Algorithm::kHS256, of_b), {"a", "b"}), "accepted bob");
  EXPECT_EQ(check(sign_token("two", Algorithm::kHS256, of_a), {"a", "b"}), "signature")
      << "signed with another issuer's key";
  EXPECT_EQ(check(sign_token("two", Algorithm::kHS256, of_b), {"a"}), "issuer");
  EXPECT_EQ(check(sign_token("one", Algorithm::kHS256, kAnn), {"a", "b"}), "issuer");
}

TEST_F(TokenCheckTest, TriesProvidersWithoutAnIssuerInTheirOrder) {
  providers_.add_secret("a", {"one"});
  providers_.add_secret("b", {"two"});
  providers_.add_secret("c", {"three"}).issuer = "https://c";
  EXPECT_EQ(check(sign_token("two", Algorithm::kHS256, kBob), {"a", "b", "c"}), "accepted bob");
  EXPECT_EQ(
      check(sign_token("three", Algorithm::kHS256, R"({"sub":"c","iss":"https://c"})"), {"a", "b", "c"}),
      "accepted c");
  EXPECT_EQ(check(sign_token("three", Algorithm::kHS256, kBob), {"a", "b", "c"}), "signature");
  EXPECT_EQ(check(sign_token("two", Algorithm::kHS256, kExpired), {"a", "b"}), "expired")
      << "the refusal of the provider that got furthest";
}

TEST_F(TokenCheckTest, NamesTheProviderThatRefusedTheTokenAndTheClaimAtFault) {
  const auto why = [this](const std::string& token, const std::vector<std::string>& names) {
    const TokenCheck check = check_token(token, providers_.providers(names), kNow);
    return check.refused_by + ' ' + std::string(word_of(check.refusal)) + ' ' + check.claim;
  };
  providers_.add_secret("a", {"one"});
  providers_.add_secret("b", {"two"}).required = {"exp", "tenant"};
  providers_.add_secret("c", {"three"}).issuer = "https://c";
  EXPECT_EQ(why(sign_token("two", Algorithm::kHS256, kBob), {"a", "b"}), "b claims tenant");
  EXPECT_EQ(why(sign_token("two", Algorithm::kHS256, kBob), {"b", "a"}), "b claims tenant");
  EXPECT_EQ(why(sign_token("nobody", Algorithm::kHS256, kBob), {"a", "b"}), "a signature ");
  EXPECT_EQ(why(sign_token("three", Algorithm::kHS256, R"({"sub":"c","iss":"https://d"})"), {"c"}),
            " issuer iss");
  EXPECT_EQ(why("garbage", {"a"}), " malformed ");
  // The refusal and the missing key may be of different providers.
  providers_.add("k", {Algorithm::kRS256}, key_set({SigningKey::rsa().jwk(R"("kid":"1")")}));
  providers_.add("s", {Algorithm::kRS256}, key_set({SigningKey::rsa().jwk(R"("kid":"2")")}));
  const std::string token = sign_token(SigningKey::other_rsa(), Algorithm::kRS256, kAnn, R"("kid":"2")");
  EXPECT_EQ(why(token, {"k", "s"}), "s signature ");
  EXPECT_EQ(check(token, {"k", "s"}), "unknown kid of k");
}

TEST_F(TokenCheckTest, RefusesEveryTokenWithoutAProvider) {
  EXPECT_EQ(check(sign_token("secret", Algorithm::kHS256, kAnn), {}), "issuer");
  EXPECT_EQ(check(sign_token("secret", Algorithm::kHS256, kAnn), {"unknown"}), "issuer");
}

TEST_F(TokenCheckTest, AcceptsEverySecretOfAProvider) {
  providers_.add_secret("p", {"new", "old"});
  EXPECT_EQ(check(sign_token("old", Algorithm::kHS256, kAnn)), "accepted ann");
  EXPECT_EQ(check(sign_token("new", Algorithm::kHS256, kAnn)), "accepted ann");
}

TEST_F(TokenCheckTest, ChecksTheSignatureBeforeTheClaims) {
  providers_.add_secret("p", {"secret"});
  EXPECT_EQ(check(sign_token("guess", Algorithm::kHS256, kExpired)), "signature");
}

}  // namespace
}  // namespace tailgate
