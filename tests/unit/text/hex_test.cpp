#include "gateway/text/hex.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

TEST(Hex, WritesTwoLowerCaseDigitsForEachByte) {
  EXPECT_EQ(hex_encode(""), "");
  EXPECT_EQ(hex_encode(std::string_view("\0\x09\xAF\xFF", 4)), "0009afff");
}

TEST(Hex, ReadsBackEveryByteInEitherCase) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    EXPECT_EQ(hex_decode(hex_encode(text)), text);
  }
  EXPECT_EQ(hex_decode("aBCd"), "\xAB\xCD");
  EXPECT_EQ(hex_decode(""), "");
}

TEST(Hex, RefusesOddLengthsAndOtherCharacters) {
  for (const char* text :
       {"a", "abc", "0g", "g0", "0x", " 0", "0 ", "-1", "+1", "/0", ":0", "@0", "G0", "`0"}) {
    EXPECT_FALSE(hex_decode(text)) << text;
  }
}

}  // namespace
}  // namespace tailgate
