#include "gateway/auth/jwks.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/signing_key.h"

namespace tailgate {
namespace {

using testing::jwks_of;
using testing::SigningKey;

ParsedJwks parse(std::string_view text) {
  auto parsed = parse_jwks(text);
  EXPECT_TRUE(parsed) << parsed.error();
  return parsed ? *parsed : ParsedJwks();
}

// Why this key is skipped; empty if it is used.
std::string reason_to_skip(const std::string& jwk) {
  const ParsedJwks parsed = parse(jwks_of({jwk}));
  EXPECT_EQ(parsed.keys.size() + parsed.skipped.size(), 1U);
  return parsed.skipped.empty() ? "" : parsed.skipped.front();
}

KeySet set_of(std::initializer_list<std::string> jwks) {
  return KeySet(parse(jwks_of(jwks)).keys);
}

TEST(Jwks, HoldsKeysOfEveryFamily) {
  const ParsedJwks parsed = parse(
      jwks_of({SigningKey::rsa().jwk(R"("kid":"r","use":"sig","alg":"RS256")"), SigningKey::p256().jwk(),
               SigningKey::p384().jwk(), SigningKey::ed25519().jwk(R"("key_ops":["verify"])")}));
  ASSERT_EQ(parsed.keys.size(), 4U);
  EXPECT_EQ(parsed.keys[0].kid, "r");
  EXPECT_EQ(parsed.keys[0].algorithm, Algorithm::kRS256);
  EXPECT_FALSE(parsed.keys[1].kid);
  EXPECT_EQ(parsed.keys[1].key.family(), PublicKey::Family::kP256);
  EXPECT_EQ(parsed.keys[2].key.family(), PublicKey::Family::kP384);
  EXPECT_EQ(parsed.keys[3].key.family(), PublicKey::Family::kEd25519);
  EXPECT_TRUE(parsed.skipped.empty());
}

TEST(Jwks, SkipsASharedSecret) {
  EXPECT_EQ(reason_to_skip(R"({"kty":"oct","k":"c2VjcmV0","alg":"HS256"})"), "key 0: it is a shared secret");
}

TEST(Jwks, SkipsAKeyWhosePrivateHalfIsPublished) {
  EXPECT_EQ(reason_to_skip(SigningKey::rsa().jwk(R"("d":"AQAB")")),
            "key 0: its private half is published with it");
}

TEST(Jwks, SkipsKeysThatAreMeantForAnotherPurpose) {
  EXPECT_NE(reason_to_skip(SigningKey::rsa().jwk(R"("use":"enc")")), "");
  EXPECT_NE(reason_to_skip(SigningKey::rsa().jwk(R"("use":1)")), "");
  EXPECT_NE(reason_to_skip(SigningKey::rsa().jwk(R"("key_ops":["encrypt","wrapKey"])")), "");
  EXPECT_NE(reason_to_skip(SigningKey::rsa().jwk(R"("key_ops":"verify")")), "");
  EXPECT_NE(reason_to_skip(SigningKey::rsa().jwk(R"("alg":"RSA-OAEP")")), "");
  EXPECT_NE(reason_to_skip(SigningKey::rsa().jwk(R"("alg":"ES256")")), "");
  EXPECT_NE(reason_to_skip(SigningKey::rsa().jwk(R"("alg":"HS256")")), "");
  EXPECT_NE(reason_to_skip(SigningKey::p256().jwk(R"("alg":"ES384")")), "");
  EXPECT_EQ(reason_to_skip(SigningKey::rsa().jwk(R"("use":"sig","key_ops":["sign","verify"],"alg":"PS256")")),
            "");
}

TEST(Jwks, SkipsBrokenKeysAndKeepsTheOthers) {
  const ParsedJwks parsed = parse(jwks_of({
      "1",
      "{}",
      R"({"kty":"RSA"})",
      R"({"kty":"RSA","n":"AQAB","e":"AQAB"})",
      R"({"kty":"EC","crv":"P-256"})",
      SigningKey::make_ec("secp256k1").jwk(),
      R"({"kty":"OKP","crv":"X25519","x":"AA"})",
      SigningKey::make_rsa(1024).jwk(),
      SigningKey::rsa().jwk(R"("kid":"good")"),
  }));
  ASSERT_EQ(parsed.keys.size(), 1U);
  EXPECT_EQ(parsed.keys[0].kid, "good");
  ASSERT_EQ(parsed.skipped.size(), 8U);
  EXPECT_EQ(parsed.skipped[1], "key 1: its kty is missing");
}

// `jwk` with the value of `name` replaced.
std::string with_member(std::string jwk, const std::string& name, const std::string& value) {
  const std::string begin = '"' + name + "\":";
  const std::size_t from = jwk.find(begin) + begin.size();
  return jwk.replace(from, jwk.find_first_of(",}", from) - from, value);
}
std::string member_in(const std::string& jwk, const std::string& name) {
  const std::string begin = '"' + name + "\":\"";
  const std::size_t from = jwk.find(begin) + begin.size();
  return jwk.substr(from, jwk.find('"', from) - from);
}

TEST(Jwks, TakesANullMemberAsAbsent) {
  const ParsedJwks parsed =
      parse(jwks_of({SigningKey::rsa().jwk(
                         R"("use":null,"alg":null,"kid":null,"key_ops":null,"d":null,"crv":null,"x":null)"),
                     SigningKey::p256().jwk(R"("use":null,"alg":null,"n":null,"e":null)"),
                     SigningKey::ed25519().jwk(R"("y":null,"alg":null)")}));
  EXPECT_TRUE(parsed.skipped.empty()) << parsed.skipped.front();
  ASSERT_EQ(parsed.keys.size(), 3U);
  EXPECT_FALSE(parsed.keys[0].kid);
  EXPECT_FALSE(parsed.keys[0].algorithm);
}

TEST(Jwks, AcceptsPaddingAndTheOtherAlphabet) {
  const auto loosely = [](std::string text) {
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
    return '"' + text + std::string((4 - text.size() % 4) % 4, '=') + '"';
  };
  for (const auto& [key, names] : {std::pair(&SigningKey::rsa(), std::vector<std::string>{"n", "e"}),
                                   std::pair(&SigningKey::p256(), std::vector<std::string>{"x", "y"}),
                                   std::pair(&SigningKey::ed25519(), std::vector<std::string>{"x"})}) {
    std::string jwk = key->jwk();
    for (const std::string& name : names) jwk = with_member(jwk, name, loosely(member_in(jwk, name)));
    EXPECT_EQ(reason_to_skip(jwk), "") << jwk;
    EXPECT_EQ(set_of({jwk}).fingerprint(), set_of({key->jwk()}).fingerprint()) << "it is the same key";
  }
}

TEST(Jwks, SaysWhichMemberIsWrong) {
  const std::string rsa = SigningKey::rsa().jwk();
  const std::string ec = SigningKey::p256().jwk();
  EXPECT_EQ(reason_to_skip(with_member(rsa, "n", "null")), "key 0: its n is missing");
  EXPECT_EQ(reason_to_skip(with_member(rsa, "n", "\"\"")), "key 0: its n is empty");
  EXPECT_EQ(reason_to_skip(with_member(rsa, "n", "\"a b\"")), "key 0: its n is not base64url");
  EXPECT_EQ(reason_to_skip(with_member(rsa, "e", "65537")), "key 0: its e is not a text");
  EXPECT_EQ(reason_to_skip(with_member(rsa, "kty", "null")), "key 0: its kty is missing");
  EXPECT_EQ(reason_to_skip(with_member(rsa, "kty", "\"rsa\"")), "key 0: its kty is none of RSA, EC and OKP");
  EXPECT_EQ(reason_to_skip(with_member(ec, "crv", "null")), "key 0: its crv is missing");
  EXPECT_EQ(reason_to_skip(with_member(ec, "crv", "\"P-521\"")), "key 0: its crv is neither P-256 nor P-384");
  EXPECT_EQ(reason_to_skip(with_member(ec, "y", "true")), "key 0: its y is not a text");
  EXPECT_EQ(reason_to_skip(SigningKey::rsa().jwk(R"("alg":256)")), "key 0: its alg is not a text");
  EXPECT_EQ(reason_to_skip(SigningKey::rsa().jwk(R"("key_ops":"verify")")),
            "key 0: its key_ops are not a list");
  EXPECT_EQ(reason_to_skip(SigningKey::rsa().jwk(R"("key_ops":[])")), "key 0: its key_ops lack \"verify\"");
}

TEST(Jwks, SkipsAKeyWithDuplicateMembers) {
  EXPECT_NE(reason_to_skip(SigningKey::rsa().jwk(R"("kid":"a","kid":"b")")), "");
  EXPECT_NE(reason_to_skip(SigningKey::rsa().jwk(R"("kty":"oct")")), "");
}

TEST(Jwks, SkipsAKeyWhoseKidIsNotAShortString) {
  EXPECT_NE(reason_to_skip(SigningKey::rsa().jwk(R"("kid":7)")), "");
  EXPECT_NE(reason_to_skip(SigningKey::rsa().jwk(R"("kid":")" + std::string(257, 'k') + '"')), "");
  EXPECT_EQ(reason_to_skip(SigningKey::rsa().jwk(R"("kid":")" + std::string(256, 'k') + '"')), "");
}

TEST(Jwks, RefusesTextThatIsNoJwks) {
  for (const std::string_view text :
       {"", "null", "[]", "{}", R"({"keys":{}})", R"({"keys":null})", R"({"keys":[)", "<html>moved</html>"}) {
    EXPECT_FALSE(parse_jwks(text)) << text;
  }
  EXPECT_FALSE(parse_jwks(R"({"keys":[]})" + std::string(kMaxJwksBytes, ' ')));
  const std::string empty = R"({"keys":[]})";
  EXPECT_TRUE(parse(empty).keys.empty());
  EXPECT_TRUE(parse_jwks(empty + std::string(kMaxJwksBytes - empty.size(), ' ')));
  EXPECT_FALSE(parse_jwks(empty + std::string(kMaxJwksBytes + 1 - empty.size(), ' ')));
}

TEST(Jwks, HoldsAtMostThirtyTwoKeys) {
  std::string json = R"({"keys":[)";
  for (std::size_t i = 0; i < kMaxKeys + 20; ++i) json += SigningKey::ed25519().jwk() + ',';
  json.back() = ']';
  const ParsedJwks parsed = parse(json + '}');
  EXPECT_EQ(parsed.keys.size(), kMaxKeys);
  EXPECT_LE(parsed.skipped.size(), 8U) << "the number of log lines is bounded";
}

TEST(KeySet, OffersTheKeysWithTheKidOfTheToken) {
  const KeySet keys =
      set_of({SigningKey::rsa().jwk(R"("kid":"a")"), SigningKey::other_rsa().jwk(R"("kid":"b")"),
              SigningKey::p256().jwk(R"("kid":"b")")});
  EXPECT_EQ(keys.candidates("a").size(), 1U);
  EXPECT_EQ(keys.candidates("b").size(), 2U);
  EXPECT_EQ(keys.candidates("c").size(), 0U);
  EXPECT_EQ(keys.candidates("").size(), 0U);
  EXPECT_EQ(keys.candidates("../../dev/null").size(), 0U);
  EXPECT_EQ(keys.candidates(std::nullopt).size(), 3U) << "any key may have signed a token without a kid";
}

TEST(KeySet, OffersKeysWithoutAKidIfNoneHasTheKid) {
  const KeySet keys = set_of({SigningKey::rsa().jwk(R"("kid":"a")"), SigningKey::other_rsa().jwk()});
  EXPECT_EQ(keys.candidates("a").size(), 1U);
  ASSERT_EQ(keys.candidates("c").size(), 1U);
  EXPECT_FALSE(keys.candidates("c")[0]->kid);
}

TEST(KeySet, HasTheFingerprintOfItsKeys) {
  const std::string a = SigningKey::rsa().jwk(R"("kid":"a")");
  const std::string b = SigningKey::rsa().jwk(R"("kid":"b")");
  EXPECT_EQ(set_of({a}).fingerprint(), set_of({a, "{}"}).fingerprint());
  EXPECT_NE(set_of({a}).fingerprint(), set_of({b}).fingerprint());
  EXPECT_NE(set_of({a}).fingerprint(), set_of({a, b}).fingerprint());
  EXPECT_NE(set_of({a}).fingerprint(),
            set_of({SigningKey::rsa().jwk(R"("kid":"a","alg":"RS256")")}).fingerprint());
  EXPECT_NE(set_of({}).fingerprint(), "");
}

TEST(JwksSource, IsAFileASocketOrAHost) {
  EXPECT_EQ(parse_jwks_source("file:/etc/jwks.json")->file, "/etc/jwks.json");
  const auto leg = parse_jwks_source("unix:/run/jwks.sock:/.well-known/jwks.json");
  ASSERT_TRUE(leg);
  EXPECT_EQ(leg->server.unix_path, "/run/jwks.sock");
  EXPECT_EQ(leg->path, "/.well-known/jwks.json");
  EXPECT_EQ(leg->authority, "localhost");
  const auto host = parse_jwks_source("http://issuer.internal:8080/jwks?x=1");
  ASSERT_TRUE(host);
  EXPECT_EQ(host->server.host, "issuer.internal");
  EXPECT_EQ(host->server.port, 8080);
  EXPECT_EQ(host->authority, "issuer.internal:8080");
  EXPECT_EQ(host->path, "/jwks?x=1");
  EXPECT_EQ(parse_jwks_source("http://issuer/jwks")->server.port, 80);
  EXPECT_EQ(parse_jwks_source("http://issuer")->path, "/");
  const auto six = parse_jwks_source("http://[::1]:81/");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->server.host, "::1");
  EXPECT_EQ(six->server.port, 81);
}

TEST(JwksSource, IsRefusedIfItIsAnyOtherAddress) {
  for (const std::string_view text : {"",
                                      "file:",
                                      "/etc/jwks.json",
                                      "unix:/run/jwks.sock",
                                      "unix:relative:/x",
                                      "unix:/run/jwks.sock:x",
                                      "https://issuer/jwks",
                                      "http:///jwks",
                                      "http://issuer:0/x",
                                      "http://issuer:65536/x",
                                      "http://issuer:/x",
                                      "http://issuer:8a/x",
                                      "http://user@issuer/x",
                                      "http://issuer/a b",
                                      "http://issuer/a\x7F",
                                      "http://issuer/a\r\nX: y",
                                      "http://[::1/x",
                                      "http://[x]/y",
                                      "http://[fe80::1%eth0]/x",
                                      "http://a%20b/x",
                                      "ftp://issuer/x"}) {
    EXPECT_FALSE(parse_jwks_source(text)) << text;
  }
  EXPECT_NE(parse_jwks_source("https://issuer/jwks").error().find("nginx leg"), std::string::npos);
}

TEST(Jwks, SkipsACurveOfAnotherType) {
  const std::string x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
  for (const std::string& jwk :
       {R"({"kty":"OKP","crv":"X25519","x":")" + x + "\"}",
        R"({"kty":"EC","crv":"Ed25519","x":")" + x + "\"}", SigningKey::p256().jwk(R"("kty":"OKP")"),
        std::string(R"({"kty":"EC","crv":"P-521"})")}) {
    EXPECT_NE(reason_to_skip(jwk), "") << jwk;
  }
  std::string okp = SigningKey::p256().jwk();
  okp.replace(okp.find("\"EC\""), 4, "\"OKP\"");
  EXPECT_EQ(reason_to_skip(okp), "key 0: its crv is not Ed25519");
}

TEST(KeySet, HoldsTheKeysOfSeveralIssuersButTriesATokenWithThirtyTwoOfThem) {
  std::vector<VerificationKey> many;
  const auto one = parse(jwks_of({SigningKey::ed25519().jwk()})).keys.at(0);
  for (std::size_t i = 0; i < kMaxKeys + 3; ++i) {
    many.push_back(one);
    many.back().kid = std::to_string(i);
  }
  const KeySet keys(many);
  EXPECT_EQ(keys.keys().size(), kMaxKeys + 3);
  EXPECT_EQ(keys.candidates("34").size(), 1U);
  EXPECT_EQ(keys.candidates(std::nullopt).size(), kMaxKeys);
}

}  // namespace
}  // namespace tailgate
