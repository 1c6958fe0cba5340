#include "gateway/text/netstring.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

TEST(Netstring, IsReadAsItWasWritten) {
  std::string joined;
  for (const std::string_view text : {"ann", "", "5:x", "0123456789"}) append_netstring(joined, text);
  EXPECT_EQ(joined, "3:ann0:3:5:x10:0123456789");
  std::string_view rest = joined;
  for (const std::string_view text : {"ann", "", "5:x", "0123456789"}) EXPECT_EQ(take_netstring(rest), text);
  EXPECT_EQ(rest, "");
}

TEST(Netstring, IsRefusedIfItIsMalformed) {
  for (const std::string_view text : {"", ":", "3", "3:", "3:an", ":ann", "-1:", "+1:a", " 1:a", "1 :a",
                                      "x:a", "1;a", "99999999999999999999999:a"}) {
    std::string_view rest = text;
    EXPECT_FALSE(take_netstring(rest)) << text;
  }
}

}  // namespace
}  // namespace tailgate
