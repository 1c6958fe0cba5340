#include "gateway/auth/public_key.h"

#include <gtest/gtest.h>

#include "gateway/auth/jwks.h"
#include "gateway/text/text.h"
#include "tests/support/signing_key.h"

namespace tailgate {
namespace {

using testing::SigningKey;

constexpr std::string_view kText = "header.payload";

PublicKey public_half(const SigningKey& key) {
  auto parsed = parse_jwks(testing::jwks_of({key.jwk()}));
  EXPECT_TRUE(parsed && parsed->keys.size() == 1);
  return parsed->keys.at(0).key;
}

std::string bytes(std::string_view encoded) {
  return base64url_decode(encoded).value_or("");
}

TEST(PublicKey, VerifiesSignaturesOfItsPrivateHalf) {
  const std::pair<const SigningKey*, Algorithm> cases[] = {
      {&SigningKey::rsa(), Algorithm::kRS256},     {&SigningKey::rsa(), Algorithm::kRS384},
      {&SigningKey::rsa(), Algorithm::kRS512},     {&SigningKey::rsa(), Algorithm::kPS256},
      {&SigningKey::p256(), Algorithm::kES256},    {&SigningKey::p384(), Algorithm::kES384},
      {&SigningKey::ed25519(), Algorithm::kEdDSA},
  };
  for (const auto& [signer, algorithm] : cases) {
    const PublicKey key = public_half(*signer);
    const std::string signature = signer->sign(algorithm, kText);
    EXPECT_TRUE(key.verifies(algorithm, kText, signature));
    EXPECT_FALSE(key.verifies(algorithm, "header.Payload", signature));
    EXPECT_FALSE(key.verifies(algorithm, kText, ""));
    EXPECT_FALSE(key.verifies(algorithm, kText, signature.substr(0, signature.size() - 1)));
    EXPECT_FALSE(key.verifies(algorithm, kText, signature + '\0'));
    EXPECT_FALSE(key.verifies(algorithm, kText, '\0' + signature));
    EXPECT_FALSE(key.verifies(algorithm, kText, std::string(signature.size(), '\0')));
    for (std::size_t i = 0; i < signature.size(); i += 7) {
      std::string changed = signature;
      changed[i] = static_cast<char>(changed[i] ^ 1);
      EXPECT_FALSE(key.verifies(algorithm, kText, changed)) << i;
    }
  }
}

// RFC 7515, appendix A.3, and RFC 8037, appendix A.4.
TEST(PublicKey, VerifiesTheExamplesOfTheStandards) {
  const auto p256 =
      PublicKey::ec(PublicKey::Family::kP256, bytes("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
                    bytes("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
  ASSERT_TRUE(p256);
  EXPECT_TRUE(p256->verifies(
      Algorithm::kES256,
      "eyJhbGciOiJFUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
      bytes("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")));
  const auto ed = PublicKey::ed25519(bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
  ASSERT_TRUE(ed);
  EXPECT_TRUE(ed->verifies(
      Algorithm::kEdDSA, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
      bytes("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")));
}

TEST(PublicKey, WorksOnlyWithItsOwnFamilyAndCurve) {
  const PublicKey rsa = public_half(SigningKey::rsa());
  const PublicKey p256 = public_half(SigningKey::p256());
  const PublicKey p384 = public_half(SigningKey::p384());
  EXPECT_FALSE(rsa.verifies(Algorithm::kES256, kText, SigningKey::p256().sign(Algorithm::kES256, kText)));
  EXPECT_FALSE(p256.verifies(Algorithm::kRS256, kText, SigningKey::rsa().sign(Algorithm::kRS256, kText)));
  EXPECT_FALSE(p256.verifies(Algorithm::kES384, kText, SigningKey::p256().sign(Algorithm::kES384, kText)));
  EXPECT_FALSE(p384.verifies(Algorithm::kES256, kText, SigningKey::p384().sign(Algorithm::kES256, kText)));
  for (const Algorithm symmetric : {Algorithm::kHS256, Algorithm::kHS384, Algorithm::kHS512}) {
    EXPECT_FALSE(rsa.fits(symmetric));
    EXPECT_FALSE(p256.fits(symmetric));
    EXPECT_FALSE(public_half(SigningKey::ed25519()).fits(symmetric));
  }
}

// CVE-2022-21449: r and s are 0.
TEST(PublicKey, RefusesPsychicSignatures) {
  const PublicKey key = public_half(SigningKey::p256());
  const std::string good = SigningKey::p256().sign(Algorithm::kES256, kText);
  const std::string zero(32, '\0');
  EXPECT_FALSE(key.verifies(Algorithm::kES256, kText, zero + zero));
  EXPECT_FALSE(key.verifies(Algorithm::kES256, kText, zero + good.substr(32)));
  EXPECT_FALSE(key.verifies(Algorithm::kES256, kText, good.substr(0, 32) + zero));
  // The order of the group is congruent to 0.
  const std::string order = bytes("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE");
  EXPECT_FALSE(key.verifies(Algorithm::kES256, kText, order + order));
}

TEST(PublicKey, AcceptsEcdsaSignaturesOnlyAsRAndSOfFullSize) {
  const PublicKey key = public_half(SigningKey::p256());
  const std::string good = SigningKey::p256().sign(Algorithm::kES256, kText);
  EXPECT_FALSE(key.verifies(Algorithm::kES256, kText, SigningKey::p256().sign_der(Algorithm::kES256, kText)));
  EXPECT_FALSE(key.verifies(Algorithm::kES256, kText, '\0' + good.substr(0, 32) + '\0' + good.substr(32)));
}

TEST(PublicKey, AcceptsPssOnlyWithASaltAsLongAsTheHash) {
  const PublicKey key = public_half(SigningKey::rsa());
  EXPECT_TRUE(key.verifies(Algorithm::kPS256, kText, SigningKey::rsa().sign_pss(kText, 32)));
  for (const int salt : {0, 20, 64, 222}) {
    EXPECT_FALSE(key.verifies(Algorithm::kPS256, kText, SigningKey::rsa().sign_pss(kText, salt))) << salt;
  }
  EXPECT_FALSE(key.verifies(Algorithm::kPS256, kText, SigningKey::rsa().sign(Algorithm::kRS256, kText)));
  EXPECT_FALSE(key.verifies(Algorithm::kRS256, kText, SigningKey::rsa().sign(Algorithm::kPS256, kText)));
}

TEST(PublicKey, RefusesRsaNumbersOutOfBounds) {
  const std::string three = "\x01" + std::string(1, '\0') + "\x01";
  const std::string modulus = "\xC1" + std::string(255, '\x55');
  EXPECT_TRUE(PublicKey::rsa(modulus, three));
  EXPECT_TRUE(PublicKey::rsa('\0' + modulus, three)) << "a leading zero does not count";
  EXPECT_FALSE(PublicKey::rsa(modulus.substr(0, 128), three));
  EXPECT_FALSE(PublicKey::rsa("\x7F" + modulus.substr(1), three)) << "2047 bits";
  EXPECT_FALSE(PublicKey::rsa(std::string(2048, '\xFF'), three));
  EXPECT_TRUE(PublicKey::rsa(std::string(1024, '\xFF'), three)) << "8192 bits";
  EXPECT_TRUE(PublicKey::rsa('\0' + std::string(1024, '\xFF'), three)) << "a leading zero does not count";
  EXPECT_FALSE(PublicKey::rsa('\1' + std::string(1024, '\xFF'), three)) << "8193 bits";
  EXPECT_FALSE(PublicKey::rsa(std::string(2, '\0') + std::string(1024, '\xFF'), three));
  EXPECT_TRUE(PublicKey::rsa(modulus, std::string(8, '\xFF'))) << "64 bits";
  EXPECT_TRUE(PublicKey::rsa(modulus, '\0' + std::string(8, '\xFF')));
  EXPECT_FALSE(PublicKey::rsa(modulus, '\1' + std::string(8, '\xFF'))) << "65 bits";
  EXPECT_FALSE(PublicKey::rsa(modulus, std::string(2, '\0') + std::string(8, '\xFF')));
  EXPECT_FALSE(PublicKey::rsa(std::string(300, '\0'), three));
  EXPECT_FALSE(PublicKey::rsa(modulus, "\x01"));
  EXPECT_FALSE(PublicKey::rsa(modulus, "\x02"));
  EXPECT_FALSE(PublicKey::rsa(modulus, ""));
  EXPECT_FALSE(PublicKey::rsa(modulus, std::string(9, '\x7F')));
  EXPECT_FALSE(PublicKey::rsa("", ""));
}

TEST(PublicKey, RefusesPointsThatAreNotOnTheCurve) {
  const std::string x = bytes("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
  const std::string y = bytes("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
  EXPECT_TRUE(PublicKey::ec(PublicKey::Family::kP256, x, y));
  EXPECT_FALSE(PublicKey::ec(PublicKey::Family::kP256, y, x));
  EXPECT_FALSE(PublicKey::ec(PublicKey::Family::kP256, std::string(32, '\0'), std::string(32, '\0')));
  EXPECT_FALSE(PublicKey::ec(PublicKey::Family::kP256, x, y.substr(1)));
  EXPECT_FALSE(PublicKey::ec(PublicKey::Family::kP256, x.substr(1), y));
  EXPECT_FALSE(PublicKey::ec(PublicKey::Family::kP384, x, y));
  EXPECT_FALSE(PublicKey::ed25519(x.substr(1)));
  EXPECT_FALSE(PublicKey::ed25519(""));
}

TEST(PublicKey, HasTheSameDerAsAnEqualKey) {
  EXPECT_EQ(public_half(SigningKey::rsa()).der(), public_half(SigningKey::rsa()).der());
  EXPECT_NE(public_half(SigningKey::rsa()).der(), public_half(SigningKey::other_rsa()).der());
}

}  // namespace
}  // namespace tailgate
