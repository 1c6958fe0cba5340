#include "gateway/text/text.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>

namespace tailgate {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

const std::string kMark = "\xEF\xBF\xBD";  // U+FFFD

TEST(Text, DecodesPercentEscapes) {
  EXPECT_EQ(percent_decode(""), "");
  EXPECT_EQ(percent_decode("a%20b%2Fc%2f"), "a b/c/");
  EXPECT_EQ(percent_decode("%00%ff"), "\0\xFF"s);
  EXPECT_EQ(percent_decode("a+b"), "a+b");
}

TEST(Text, RefusesAMalformedPercentSign) {
  for (const char* text : {"%", "a%", "%4", "%4g", "%g4", "%%41", "% 41", "%-1", "%+1"}) {
    EXPECT_FALSE(percent_decode(text)) << text;
  }
}

TEST(Text, EncodesAllBytesThatMayMeanSomethingInAUrl) {
  EXPECT_EQ(percent_encode(""), "");
  EXPECT_EQ(percent_encode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(percent_encode("a:b@c/d?e#f%g&h=i+j;k l"), "a%3Ab%40c%2Fd%3Fe%23f%25g%26h%3Di%2Bj%3Bk%20l");
  EXPECT_EQ(percent_encode("\0\xFF"sv), "%00%FF");
}

TEST(Query, KeepsTheOrderAndDecodesNamesAndValues) {
  const auto query = Query::parse("b=2&a=%31+1%2B&k&=x&&c=a=b");
  ASSERT_TRUE(query);
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"b", "2"}, {"a", "1 1+"}, {"k", ""}, {"", "x"}, {"c", "a=b"}};
  EXPECT_EQ(query->all(), expected);
}

TEST(Query, TheFirstValueOfANameWins) {
  const auto query = Query::parse("token=first&token=second");
  EXPECT_EQ(*query->find("token"), "first");
  EXPECT_EQ(query->find("Token"), nullptr);
}

TEST(Query, HasAFirstValueThatIsNotEmpty) {
  const auto query = Query::parse("token=&token=second&token=third&empty=");
  EXPECT_EQ(*query->find_non_empty("token"), "second");
  EXPECT_EQ(query->find_non_empty("empty"), nullptr);
}

TEST(Query, MayBeEmpty) {
  EXPECT_TRUE(Query::parse("")->all().empty());
  EXPECT_TRUE(Query::parse("&&")->all().empty());
}

TEST(Query, IsRefusedIfAnyPartIsMalformed) {
  EXPECT_FALSE(Query::parse("a=1&token=%zz"));
  EXPECT_FALSE(Query::parse("%=1"));
}

TEST(Cookie, IsFoundAmongOthers) {
  EXPECT_EQ(cookie_value("a=1; accessToken=x.y.z; b=2", "accessToken"), "x.y.z");
  EXPECT_EQ(cookie_value("a=1;b=2", "b"), "2");
  EXPECT_EQ(cookie_value("  a = 1 ", "a"), "1");
  EXPECT_EQ(cookie_value("a=", "a"), "");
  EXPECT_EQ(cookie_value("a=b=c", "a"), "b=c");
}

TEST(Cookie, IsUnquotedAndPercentDecoded) {
  EXPECT_EQ(cookie_value("t=\"a%2Eb\"", "t"), "a.b");
  EXPECT_EQ(cookie_value("t=a+b", "t"), "a+b");
  EXPECT_EQ(cookie_value("t=\"", "t"), "\"");
}

TEST(Cookie, WithAStrayPercentSignStaysAsItIs) {
  EXPECT_EQ(cookie_value("t=50%", "t"), "50%");
}

TEST(Cookie, TheFirstOfANameWins) {
  EXPECT_EQ(cookie_value("t=1; t=2", "t"), "1");
}

TEST(Cookie, IsFoundByItsExactNameOnly) {
  EXPECT_FALSE(cookie_value("", "t"));
  EXPECT_FALSE(cookie_value("t", "t"));
  EXPECT_FALSE(cookie_value("xt=1; tx=2; T=3", "t"));
}

TEST(Base64Url, EncodesTheVectorsOfTheRfc) {
  EXPECT_EQ(base64url_encode(""), "");
  EXPECT_EQ(base64url_encode("f"), "Zg");
  EXPECT_EQ(base64url_encode("fo"), "Zm8");
  EXPECT_EQ(base64url_encode("foo"), "Zm9v");
  EXPECT_EQ(base64url_encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64url_encode("\xFB\xFF"), "-_8");
}

TEST(Base64Url, DecodesWhatItEncodes) {
  std::mt19937 random(3);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same run every time
  for (std::size_t size = 0; size < 200; ++size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(random() % 256);
    EXPECT_EQ(base64url_decode(base64url_encode(bytes)), bytes);
  }
}

TEST(Base64Url, RefusesPaddingAndNonCanonicalText) {
  for (const char* text :
       {"Zg=", "Zg==", "Zm9v=", "Z", "Zm9vY", "Zh", "Zm9", "Zm9vYh", "Zm+v", "Zm/v", "Zm 9v", "Zm9v\n"}) {
    EXPECT_FALSE(base64url_decode(text)) << text;
  }
}

TEST(Base64, MayUseEitherAlphabetAndMayBePadded) {
  for (const char* text : {"-_8", "+/8", "-_8=", "+/8==="})
    EXPECT_EQ(base64_decode(text), "\xFB\xFF") << text;
  EXPECT_EQ(base64_decode("===="), "");
  for (const char* text : {"Zh", "Zg=Zg", "Zm 9", "Z"}) EXPECT_FALSE(base64_decode(text)) << text;
}

TEST(Utf8, IsRecognized) {
  for (const std::string_view text :
       {""sv, "abc"sv, "ä"sv, "€"sv, "😀"sv, "\xED\x9F\xBF"sv, "\xF4\x8F\xBF\xBF"sv, "\0"sv}) {
    EXPECT_TRUE(is_utf8(text)) << text;
    EXPECT_EQ(to_utf8(text), text);
  }
  for (const char* text :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3", "a\xE2\x82", "\xF0\x9F\x98"}) {
    EXPECT_FALSE(is_utf8(text));
    EXPECT_TRUE(is_utf8(to_utf8(text)));
  }
}

TEST(Utf8, IsRecognizedAtEachPlace) {
  const std::string plain(20, '~');
  for (std::size_t place = 0; place < plain.size(); ++place) {
    std::string text = plain;
    EXPECT_TRUE(is_utf8(text.replace(place, 1, "ä"))) << place;
    EXPECT_FALSE(is_utf8(text.replace(place, 2, "\x80"))) << place;
  }
}

TEST(Utf8, ReplacesEachMaximalSubpartByOneMark) {
  EXPECT_EQ(to_utf8("a\xE2\x82z"), "a" + kMark + "z");
  EXPECT_EQ(to_utf8("\xF0\x9F\x98"), kMark);
  EXPECT_EQ(to_utf8("\xC0\x80"), kMark + kMark);
  EXPECT_EQ(to_utf8("\xED\xA0\x80"), kMark + kMark + kMark);
  EXPECT_EQ(to_utf8("\xE0\x80\x80"), kMark + kMark + kMark);
  // The example of the Unicode Standard, table 3-8.
  EXPECT_EQ(to_utf8("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a" + kMark + kMark + kMark + "b" + kMark + "c" + kMark + kMark + "d");
}

TEST(Utf8, KeepsAsciiBesideReplacedBytes) {
  EXPECT_EQ(to_utf8("{\"a\":\"\xE2\"}"), "{\"a\":\"" + kMark + "\"}");
}

TEST(Utf8, IsCutBetweenCharacters) {
  EXPECT_EQ(utf8_prefix("abc", 3), "abc");
  EXPECT_EQ(utf8_prefix("abc", 2), "ab");
  EXPECT_EQ(utf8_prefix("a\xC3\xA4", 3), "a\xC3\xA4");
  EXPECT_EQ(utf8_prefix("a\xC3\xA4", 2), "a");
  const std::string_view face = "\xF0\x9F\x98\x80";
  for (std::size_t size = 0; size < face.size(); ++size) EXPECT_EQ(utf8_prefix(face, size), "") << size;
  EXPECT_EQ(utf8_prefix(std::string(20, '\x80'), 10).size(), 7U)
      << "ill-formed text loses at most three bytes";
}

TEST(Token, IsOneOrMoreTokenCharactersOfRfc9110) {
  for (const char* text : {"a", "X-Session-ID", "09AZaz", "!#$%&'*+-.^_`|~"})
    EXPECT_TRUE(is_token(text)) << text;
  for (const std::string_view text : {""sv, "a b"sv, "a:"sv, "a\""sv, "(a)"sv, "a/b"sv, "a@"sv, "[a]"sv,
                                      "{a}"sv, "a=b"sv, "\x7F"sv, "\xC3\xA4"sv, "\0"sv}) {
    EXPECT_FALSE(is_token(text)) << text;
  }
}

TEST(Text, VisibleAsciiHasNoSpaceAndNoControlByte) {
  EXPECT_TRUE(is_visible_ascii("!09AZaz~"));
  for (const std::string_view text : {""sv, "a b"sv, "a\t"sv, "\x7F"sv, "\x80"sv, "\0"sv})
    EXPECT_FALSE(is_visible_ascii(text)) << text;
}

TEST(Text, ANumberIsTheWholeTextAndFitsItsType) {
  EXPECT_EQ(parse_number<std::uint16_t>("65535"), 65535);
  EXPECT_EQ(parse_number<int>("-7"), -7);
  EXPECT_EQ(parse_number<unsigned>("0660", 8), 0660U);
  for (const char* text : {"", " 1", "1 ", "+1", "-1", "1.5", "0x1", "65536"})
    EXPECT_FALSE(parse_number<std::uint16_t>(text)) << text;
}

TEST(Text, JoinsWithAnotherLastSeparator) {
  using Parts = std::vector<std::string>;
  EXPECT_EQ(join(Parts{}, ", "), "");
  EXPECT_EQ(join(Parts{"a", "", "c"}, ", "), "a, , c");
  EXPECT_EQ(join(Parts{"a", "b", "c"}, ", ", " and "), "a, b and c");
  EXPECT_EQ(join(Parts{"a"}, ", ", " and "), "a");
}

TEST(Text, RecognizesControlBytes) {
  for (const std::string_view text : {"\0"sv, "a\r"sv, "\n"sv, "\x1F"sv, "\x7F"sv, "\t"sv})
    EXPECT_TRUE(has_control(text));
  for (const std::string_view text : {""sv, "a b~"sv, "ä"sv, "\x80"sv}) EXPECT_FALSE(has_control(text));
}

TEST(Text, WritesTimesInUtcWithMicroseconds) {
  using namespace std::chrono;
  EXPECT_EQ(iso_time(system_clock::time_point{}), "1970-01-01T00:00:00.000000+00:00");
  EXPECT_EQ(iso_time(sys_days(2026y / November / 21) + 10h + 10min + 10s + 123456us),
            "2026-11-21T10:10:10.123456+00:00");
  EXPECT_EQ(iso_time(sys_days(2024y / February / 29) + 24h - 1us), "2024-02-29T23:59:59.999999+00:00");
}

TEST(Text, LowersTheCaseOfAsciiOnly) {
  EXPECT_EQ(ascii_lower("X-Session-ID Ä"), "x-session-id Ä");
}

TEST(Text, TrimsWhiteSpace) {
  EXPECT_EQ(trim(" \t\r\na b\n "), "a b");
  EXPECT_EQ(trim(" "), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Text, SplitsAtEverySeparator) {
  using Parts = std::vector<std::string_view>;
  EXPECT_EQ(split("a,b,,c", ','), (Parts{"a", "b", "", "c"}));
  EXPECT_EQ(split("", ','), Parts{""});
  EXPECT_EQ(split(",", ','), (Parts{"", ""}));
}

}  // namespace
}  // namespace tailgate
