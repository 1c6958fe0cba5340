#include "gateway/feeds/page.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

Route route() {
  Route pages;
  pages.entry = {"text"};
  pages.page_default = 100;
  pages.page_max = 500;
  return pages;
}

Result<PageQuery> parse(std::string_view query) {
  return parse_page_query(*Query::parse(query), route());
}

LogEntry entry(std::uint64_t ms, std::string_view text) {
  return {.id = {ms, 0}, .fields = {{"text", text}}};
}

TEST(Page, HasTheHundredNewestLinesByDefault) {
  const auto page = parse("");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->limit, 100);
  EXPECT_FALSE(page->before);
  EXPECT_EQ(parse("limit=1")->limit, 1);
  EXPECT_EQ(parse("limit=500&before_id=7-1")->before, (EntryId{7, 1}));
}

TEST(Page, RefusesABadLimitByName) {
  for (const char* query : {"limit=0", "limit=501", "limit=-1", "limit=", "limit=x", "limit=1.5",
                            "limit=1%20", "limit=99999999999999999999", "limit"}) {
    const auto page = parse(query);
    ASSERT_FALSE(page) << query;
    EXPECT_TRUE(page.error().starts_with("limit:")) << page.error();
  }
}

TEST(Page, RefusesABadBeforeIdByName) {
  for (const char* query : {"before_id=", "before_id=5", "before_id=x", "before_id=5-", "before_id=(5-1"}) {
    const auto page = parse(query);
    ASSERT_FALSE(page) << query;
    EXPECT_TRUE(page.error().starts_with("before_id:")) << page.error();
  }
}

TEST(Page, RefusesAParameterThatIsGivenTwiceByName) {
  EXPECT_EQ(parse("limit=5&limit=6").error(), "limit: must be given only once");
  EXPECT_EQ(parse("limit=5&limit=5").error(), "limit: must be given only once");
  EXPECT_EQ(parse("before_id=7-1&limit=5&before_id=8-1").error(), "before_id: must be given only once");
  EXPECT_TRUE(parse("other=1&other=2"));
}

TEST(Page, FindsTheIdBeforeAnId) {
  EXPECT_EQ(id_before({5, 3}), (EntryId{5, 2}));
  EXPECT_EQ(id_before({5, 0}), (EntryId{4, 18446744073709551615U}));
  EXPECT_FALSE(id_before({0, 0}));
}

TEST(Page, WritesLinesInTheOrderOfTheLog) {
  const Route pages = route();
  Page page(pages, 3);
  EXPECT_TRUE(page.add(entry(9, "d")));
  EXPECT_TRUE(page.add(entry(8, "c")));
  EXPECT_TRUE(page.add(entry(7, "b")));
  EXPECT_FALSE(page.add(entry(6, "a")));
  EXPECT_EQ(
      page.json(),
      R"({"lines":[{"id":"7-0","text":"b"},{"id":"8-0","text":"c"},{"id":"9-0","text":"d"}],"has_more":true,)"
      R"("oldest_id":"7-0"})");
}

TEST(Page, WritesTheLastValueOfAFieldThatAnEntryHasTwice) {
  const Route pages = route();
  Page page(pages, 2);
  EXPECT_TRUE(page.add({.id = {9, 0}, .fields = {{"text", "first"}, {"text", "last"}}}));
  EXPECT_EQ(page.json(), R"({"lines":[{"id":"9-0","text":"last"}],"has_more":false,"oldest_id":"9-0"})");
}

TEST(Page, IsEmptyIfTheLogIsEmpty) {
  const Route pages = route();
  EXPECT_EQ(Page(pages, 100).json(), R"({"lines":[],"has_more":false,"oldest_id":null})");
}

TEST(Page, StopsAtItsBoundOfBytesButTakesOneLargerLine) {
  Route pages = route();
  pages.page_bytes = 100;
  const std::string large(500, 'x');
  Page one(pages, 10);
  EXPECT_TRUE(one.add(entry(9, large)));
  EXPECT_FALSE(one.add(entry(8, "a")));
  EXPECT_TRUE(one.full());
  Page two(pages, 10);
  EXPECT_TRUE(two.add(entry(9, "a")));
  EXPECT_FALSE(two.add(entry(8, large)));
  EXPECT_FALSE(two.add(entry(7, "b"))) << "a page has no hole";
  EXPECT_EQ(two.json(), R"({"lines":[{"id":"9-0","text":"a"}],"has_more":true,"oldest_id":"9-0"})");
}

TEST(Page, HoldsExactlyAsManyBytesAsItsBound) {
  const std::size_t line = std::string_view(R"({"id":"9-0","text":"a"})").size();
  Route pages = route();
  for (const auto& [bound, lines] : {std::pair{2 * line, 2U}, {2 * line - 1, 1U}, {3 * line - 1, 2U}}) {
    pages.page_bytes = bound;
    Page page(pages, 10);
    for (std::uint64_t ms = 9; ms > 5 && page.add(entry(ms, "a"));) --ms;
    EXPECT_EQ(page.lines(), lines) << bound;
    EXPECT_TRUE(page.full());
  }
}

}  // namespace
}  // namespace tailgate
