#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "tests/unit/config/config_cases.h"

namespace tailgate {
namespace {

TEST(ConfigProvider, RequiresExactlyOneSourceOfKeys) {
  expect_finding_in(
      without("secret = "),
      "tailgate.toml:4: provider.p: needs exactly one of secret, secret_env, secret_file and jwks");
  std::string text(kBase);
  text.insert(text.find("algorithms"), "jwks = \"file:/k\"\n");
  EXPECT_NE(findings(text).find("provider.p: needs exactly one of"), std::string::npos);
}

TEST(ConfigProvider, ReadsItsSecretFromAVariableOrAFile) {
  const std::string secret = kSecret;
  EXPECT_EQ(loaded({{"provider.p.secret_env", "S"}}, {{"S", secret}})->provider("p")->secrets,
            std::vector{secret});
  EXPECT_EQ(loaded({{"provider.p.secret_file", "/s"}}, {}, {{"/s", secret + "\r\n"}})->provider("p")->secrets,
            std::vector{secret});
  expect_finding({{"provider.p.secret_env", "S"}},
                 "provider.p.secret_env: the environment variable S is not set");
  expect_finding({{"provider.p.secret_file", "/s"}}, "provider.p.secret_file: cannot read /s");
}

TEST(ConfigProvider, MayHaveTwoSecretsWhileOneIsReplaced) {
  const auto config = loaded({{"provider.p.secret_env", "['A','B']"}},
                             {{"A", std::string(16, 'a')}, {"B", std::string(16, 'b')}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->provider("p")->secrets.size(), 2U);
}

TEST(ConfigProvider, RefusesAShortSecretAndExplainsWhy) {
  ASSERT_TRUE(loaded({{"provider.p.secret", std::string(16, 'x')}}));
  expect_finding(
      {{"provider.p.secret", std::string(15, 'x')}},
      "provider.p.secret: a shared secret must have at least 16 bytes (RFC 7518 asks for 32), because");
}

TEST(ConfigProvider, RequiresAlgorithmsThatFitItsKeys) {
  expect_finding_in(without("algorithms"), "tailgate.toml:4: provider.p.algorithms: is missing");
  expect_finding({{"provider.p.algorithms", "[]"}},
                 "provider.p.algorithms: must name at least one algorithm");
  expect_finding({{"provider.p.algorithms", "['RS256']"}},
                 "provider.p.algorithms: RS256 needs public keys (jwks)");
  expect_finding({{"provider.p.jwks", "file:/k"}}, "provider.p.algorithms: HS256 needs a shared secret");
  for (const char* name : {"none", "None", "hs256", "HS1", ""}) {
    const std::string found = findings(kBase, {{"provider.p.algorithms", "['" + std::string(name) + "']"}});
    EXPECT_NE(found.find("provider.p.algorithms: "), std::string::npos) << name;
  }
}

TEST(ConfigProvider, KnowsEveryAlgorithm) {
  const auto shared = loaded({{"provider.p.algorithms", "['HS256','HS384','HS512']"}});
  EXPECT_EQ(shared->provider("p")->algorithms,
            (std::vector{Algorithm::kHS256, Algorithm::kHS384, Algorithm::kHS512}));
  const auto open =
      loaded({{"provider.p.jwks", "file:/k"},
              {"provider.p.algorithms", "['RS256','RS384','RS512','PS256','ES256','ES384','EdDSA']"}});
  EXPECT_EQ(open->provider("p")->algorithms,
            (std::vector{Algorithm::kRS256, Algorithm::kRS384, Algorithm::kRS512, Algorithm::kPS256,
                         Algorithm::kES256, Algorithm::kES384, Algorithm::kEdDSA}));
}

TEST(ConfigProvider, ReadsJwksFromFilesUnixSocketsAndPlainHttp) {
  for (const char* source :
       {"file:/keys.json", "unix:/run/jwks.sock:/.well-known/jwks.json", "http://issuer/jwks",
        "http://issuer:8080/jwks", "http://[::1]:80/jwks", "http://[::1]/jwks", "http://issuer"}) {
    const auto config = loaded({{"provider.p.jwks", source}, {"provider.p.algorithms", "['RS256']"}});
    ASSERT_TRUE(config) << source;
    EXPECT_EQ(config->provider("p")->jwks, std::vector<std::string>{source});
  }
  for (const char* source :
       {"https://issuer/jwks", "file:", "/keys.json", "unix:/run/jwks.sock", "unix:relative:/path", "http://",
        "http:///jwks", "http://issuer:0/jwks", "ftp://issuer"}) {
    expect_finding({{"provider.p.jwks", source}, {"provider.p.algorithms", "['RS256']"}},
                   "provider.p.jwks: ");
  }
}

TEST(ConfigProvider, ReadsTheIssuerFromAClerkKey) {
  EXPECT_EQ(loaded({{"provider.p.clerk_publishable_key", kClerkKey}})->provider("p")->issuer,
            "https://clerk.example.com");
  EXPECT_EQ(loaded({{"provider.p.clerk_publishable_key_env", "C"}}, {{"C", std::string(kClerkKey) + "\n"}})
                ->provider("p")
                ->issuer,
            "https://clerk.example.com");
  // base64("a.b$"), with and without its padding.
  EXPECT_EQ(loaded({{"provider.p.clerk_publishable_key", "pk_live_YS5iJA=="}})->provider("p")->issuer,
            "https://a.b");
  EXPECT_EQ(loaded({{"provider.p.clerk_publishable_key", "pk_live_YS5iJA"}})->provider("p")->issuer,
            "https://a.b");
}

TEST(ConfigProvider, RefusesAMalformedClerkKey) {
  // Not base64; without "$"; only "$"; "$" in the middle; a path; upper case; no dot.
  for (const char* key : {"pk_test_", "pk_test_!!!!", "pk_test_Y2xlcmsuZXhhbXBsZS5jb20", "pk_test_JA",
                          "pk_test_YS5iJGM", "pk_test_YS5iL2Mk", "pk_test_QS5iJA", "pk_test_YWIk",
                          "sk_test_Y2xlcmsuZXhhbXBsZS5jb20k", "Y2xlcmsuZXhhbXBsZS5jb20k"}) {
    expect_finding({{"provider.p.clerk_publishable_key", key}}, "provider.p.clerk_publishable_key: ");
  }
  expect_finding({{"provider.p.clerk_publishable_key_env", "C"}},
                 "provider.p.clerk_publishable_key_env: the environment variable C is not set");
}

TEST(ConfigProvider, RefusesTwoIssuers) {
  std::string text(kBase);
  text.insert(text.find("algorithms"),
              "issuer = \"i\"\nclerk_publishable_key = \"" + std::string(kClerkKey) + "\"\n");
  EXPECT_NE(findings(text).find("provider.p: takes one of issuer, clerk_publishable_key"), std::string::npos);
}

}  // namespace
}  // namespace tailgate
