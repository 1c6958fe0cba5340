#include "gateway/auth/jwt.h"

#include <gtest/gtest.h>

#include "gateway/text/text.h"
#include "tests/support/signing_key.h"

namespace tailgate {
namespace {

using testing::join_token;

constexpr std::string_view kHeader = R"({"alg":"HS256"})";
constexpr std::string_view kPayload = R"({"sub":"ann"})";

Refusal refusal_of(std::string_view token) {
  const auto parsed = parse_jwt(token);
  EXPECT_TRUE(std::holds_alternative<Refusal>(parsed)) << token;
  return std::holds_alternative<Refusal>(parsed) ? std::get<Refusal>(parsed) : Refusal::kMissing;
}

Refusal refusal_of_header(std::string_view header) {
  return refusal_of(join_token(header, kPayload, "x"));
}
Refusal refusal_of_payload(std::string_view payload) {
  return refusal_of(join_token(kHeader, payload, "x"));
}

Jwt jwt_of(std::string_view token) {
  auto parsed = parse_jwt(token);
  EXPECT_TRUE(std::holds_alternative<Jwt>(parsed)) << token;
  return std::holds_alternative<Jwt>(parsed) ? std::get<Jwt>(parsed) : Jwt();
}

TEST(Jwt, IsParsedIntoItsParts) {
  const std::string token =
      join_token(R"({"alg":"ES256","kid":"k1"})", R"({"iss":"https://a","sub":"ann"})", "sig");
  const Jwt jwt = jwt_of(token);
  EXPECT_EQ(jwt.algorithm, Algorithm::kES256);
  EXPECT_EQ(jwt.kid, "k1");
  EXPECT_EQ(jwt.issuer, "https://a");
  EXPECT_EQ(jwt.payload, R"({"iss":"https://a","sub":"ann"})");
  EXPECT_EQ(jwt.signature, "sig");
  EXPECT_EQ(jwt.signed_text, token.substr(0, token.rfind('.')));
}

// RFC 7515, appendix A.1.
TEST(Jwt, VerifiesTheExampleOfRfc7515) {
  const std::string token =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
      "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  const auto secret = base64url_decode(
      "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
  const Jwt jwt = jwt_of(token);
  EXPECT_EQ(jwt.issuer, "joe");
  EXPECT_TRUE(secret_verifies(*secret, jwt.algorithm, jwt.signed_text, jwt.signature));
  EXPECT_FALSE(secret_verifies("another", jwt.algorithm, jwt.signed_text, jwt.signature));
}

TEST(Jwt, RefusesAlgNoneInAnySpelling) {
  for (const std::string_view none : {"none", "None", "NONE", "nOnE", "null", ""}) {
    const std::string header = R"({"alg":")" + std::string(none) + R"("})";
    EXPECT_EQ(refusal_of(join_token(header, kPayload, "")), Refusal::kAlgorithm) << none;
    EXPECT_EQ(refusal_of(join_token(header, kPayload, "x")), Refusal::kAlgorithm) << none;
  }
}

TEST(Jwt, RefusesAnAlgThatIsNotATextOrNotExactlySpelled) {
  for (const std::string_view header :
       {R"({})", R"({"alg":null})", R"({"alg":["HS256"]})", R"({"alg":256})"}) {
    EXPECT_EQ(refusal_of_header(header), Refusal::kMalformed) << header;
  }
  for (const std::string_view alg :
       {"hs256", "HS256 ", "HS-256", "PS384", "PS512", "ES512", "ES256K", "RSA1_5", "dir"}) {
    EXPECT_EQ(refusal_of_header(R"({"alg":")" + std::string(alg) + R"("})"), Refusal::kAlgorithm) << alg;
  }
}

TEST(Jwt, RefusesEveryCriticalExtension) {
  EXPECT_EQ(refusal_of_header(R"({"alg":"HS256","crit":["b64"],"b64":false})"), Refusal::kMalformed);
  EXPECT_EQ(refusal_of_header(R"({"alg":"HS256","crit":[]})"), Refusal::kMalformed);
  EXPECT_EQ(refusal_of_header(R"({"alg":"HS256","crit":null})"), Refusal::kMalformed);
}

TEST(Jwt, RefusesDuplicateMembers) {
  EXPECT_EQ(refusal_of_header(R"({"alg":"none","alg":"HS256"})"), Refusal::kMalformed);
  EXPECT_EQ(refusal_of_header(R"({"alg":"none","\u0061lg":"HS256"})"), Refusal::kMalformed);
  EXPECT_EQ(refusal_of_payload(R"({"sub":"ann","sub":"bob"})"), Refusal::kMalformed);
  EXPECT_EQ(refusal_of_payload(R"({"exp":1,"exp":9999999999})"), Refusal::kMalformed);
}

TEST(Jwt, RefusesAnythingButThreeParts) {
  const std::string good = join_token(kHeader, kPayload, "x");
  for (const std::string& token :
       {std::string(), std::string("."), std::string(".."), std::string("..."), good + '.', '.' + good,
        good.substr(0, good.rfind('.')), good + ".x", good + ".x.y"}) {
    EXPECT_EQ(refusal_of(token), Refusal::kMalformed) << token;
  }
  EXPECT_EQ(refusal_of(join_token(kHeader, kPayload, "")), Refusal::kMalformed);
}

TEST(Jwt, RefusesNonCanonicalBase64) {
  const std::string header = base64url_encode(kHeader);
  const std::string payload = base64url_encode(kPayload);
  ASSERT_TRUE(std::holds_alternative<Jwt>(parse_jwt(header + '.' + payload + ".eA")));
  for (const std::string_view signature :
       {"eA==", "eA=", "eB", "e", "e A", "eA\n", "eA%3D", "+A", "/A", "eAA\xC3"}) {
    EXPECT_EQ(refusal_of(header + '.' + payload + '.' + std::string(signature)), Refusal::kMalformed)
        << signature;
  }
  EXPECT_EQ(refusal_of(' ' + header + '.' + payload + ".eA"), Refusal::kMalformed);
  EXPECT_EQ(refusal_of(header + '.' + payload + ".eA "), Refusal::kMalformed);
}

TEST(Jwt, RefusesPartsThatAreNotJsonObjects) {
  for (const std::string_view json :
       {"", "[]", "null", "\"HS256\"", "{", "{}{}", "\xEF\xBB\xBF{}", "{\"a\":\"\xFF\"}"}) {
    EXPECT_EQ(refusal_of_header(json), Refusal::kMalformed) << json;
    EXPECT_EQ(refusal_of_payload(json), Refusal::kMalformed) << json;
  }
  EXPECT_EQ(refusal_of_payload(std::string(2000, '[') + std::string(2000, ']')), Refusal::kMalformed);
}

TEST(Jwt, RefusesAKidThatIsNotAString) {
  EXPECT_EQ(refusal_of_header(R"({"alg":"RS256","kid":1})"), Refusal::kMalformed);
  EXPECT_EQ(refusal_of_header(R"({"alg":"RS256","kid":null})"), Refusal::kMalformed);
  EXPECT_EQ(refusal_of_header(R"({"alg":"RS256","kid":{"$ne":""}})"), Refusal::kMalformed);
}

TEST(Jwt, RefusesAHugeToken) {
  const std::string claim(kMaxTokenBytes, 'a');
  EXPECT_EQ(refusal_of_payload(R"({"sub":")" + claim + R"("})"), Refusal::kMalformed);
}

TEST(Jwt, IsNotVerifiedWithAnEmptySecret) {
  const Jwt jwt = jwt_of(testing::sign_token("", Algorithm::kHS256, kPayload));
  EXPECT_FALSE(secret_verifies("", jwt.algorithm, jwt.signed_text, jwt.signature));
}

TEST(Jwt, IsVerifiedWithTheHashThatItsAlgorithmNames) {
  for (const Algorithm algorithm : {Algorithm::kHS256, Algorithm::kHS384, Algorithm::kHS512}) {
    const std::string token = testing::sign_token("secret", algorithm, kPayload);
    const Jwt jwt = jwt_of(token);
    EXPECT_EQ(jwt.algorithm, algorithm);
    EXPECT_TRUE(secret_verifies("secret", algorithm, jwt.signed_text, jwt.signature));
    EXPECT_FALSE(secret_verifies("secret", algorithm, jwt.signed_text, jwt.signature.substr(1)));
    EXPECT_FALSE(secret_verifies("secret", algorithm, jwt.signed_text, ""));
    EXPECT_FALSE(secret_verifies("secret", algorithm, jwt.signed_text, jwt.signature + '\0'));
  }
}

TEST(Jwt, HasAtMostAsManyBytesAsTheHeadOfARequest) {
  // Base64 cannot have every length.  With one of these paddings a token of exactly the limit is possible.
  bool has_met_the_limit = false;
  for (const std::string padding : {"", "1", "12"}) {
    const std::string token = join_token(R"({"alg":"HS256","x":")" + padding + "\"}", kPayload, "");
    const std::string longest = token + std::string(kMaxTokenBytes - token.size(), 'A');
    has_met_the_limit = has_met_the_limit || std::holds_alternative<Jwt>(parse_jwt(longest));
    EXPECT_EQ(refusal_of(longest + 'A'), Refusal::kMalformed);
  }
  EXPECT_TRUE(has_met_the_limit);
}

}  // namespace
}  // namespace tailgate
