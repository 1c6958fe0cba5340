#include "gateway/redis/entry_id.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

TEST(EntryId, ReadsWhatItWrites) {
  for (const char* text : {"0-0", "1700000000000-0", "1-18446744073709551615", "18446744073709551615-7"}) {
    const auto id = EntryId::parse(text);
    ASSERT_TRUE(id) << text;
    EXPECT_EQ(id->text(), text);
  }
}

TEST(EntryId, RefusesAMalformedId) {
  for (const char* text : {"", "-", "1", "1-", "-1", "1-1-1", " 1-1", "1-1 ", "+1-1", "1--1", "a-1", "1-b",
                           "$", "0x1-1", "18446744073709551616-0", "1-18446744073709551616"}) {
    EXPECT_FALSE(EntryId::parse(text)) << text;
  }
}

TEST(EntryId, OrdersByTimeThenSequence) {
  EXPECT_LT((EntryId{1, 9}), (EntryId{2, 0}));
  EXPECT_LT((EntryId{2, 0}), (EntryId{2, 1}));
  EXPECT_TRUE((EntryId{}).is_zero());
}

}  // namespace
}  // namespace tailgate
