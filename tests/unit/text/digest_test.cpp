#include "gateway/text/digest.h"

#include <gtest/gtest.h>

#include "gateway/text/hex.h"

namespace tailgate {
namespace {

// FIPS 180-2, appendix B.1.
TEST(Digest, IsSha256) {
  const Digest digest = sha256("abc");
  EXPECT_EQ(hex_encode({reinterpret_cast<const char*>(digest.data()), digest.size()}),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// RFC 4231, test case 2.
TEST(Digest, WithAKeyIsHmac) {
  const std::string_view text = "what do ya want for nothing?";
  EXPECT_EQ(hex_encode(hmac(Hash::kSha256, "Jefe", text)),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(
      hex_encode(hmac(Hash::kSha384, "Jefe", text)),
      "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649");
  EXPECT_EQ(hex_encode(hmac(Hash::kSha512, "Jefe", text)),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd"
            "caeab1a34d4a6b4b636e070a38bce737");
}

TEST(Digest, WithAnEmptyKeyIsAnHmac) {
  EXPECT_EQ(hmac(Hash::kSha256, {}, "text"), hmac(Hash::kSha256, "", "text"));
  EXPECT_NE(hmac(Hash::kSha256, "", "text"), hmac(Hash::kSha256, "k", "text"));
}

TEST(SameSecret, ComparesEveryByteAndTheSize) {
  EXPECT_TRUE(same_secret("abc", "abc"));
  EXPECT_FALSE(same_secret("abc", "abd"));
  EXPECT_FALSE(same_secret("abc", "abcd"));
  EXPECT_FALSE(same_secret("abc", ""));
  EXPECT_TRUE(same_secret("", ""));
}

}  // namespace
}  // namespace tailgate
