#include "gateway/config/toml.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace tailgate {
namespace {

std::map<std::string, Setting> flat(std::string_view text) {
  auto parsed = flatten_toml(text);
  if (const auto* error = std::get_if<TomlError>(&parsed)) {
    ADD_FAILURE() << error->line << ": " << error->text;
    return {};
  }
  const auto& settings = std::get<FlatToml>(parsed);
  return {settings.begin(), settings.end()};
}

TomlError error_of(std::string_view text) {
  auto parsed = flatten_toml(text);
  const auto* error = std::get_if<TomlError>(&parsed);
  EXPECT_NE(error, nullptr) << text;
  return error != nullptr ? *error : TomlError{};
}

template <typename T>
T value_of(std::string_view value) {
  return std::get<T>(flatten_toml_value("key", value)->front().second.value);
}

TEST(Toml, KeysAreFlatAndHaveTheirLines) {
  const auto settings =
      flat("[redis]\nurl = 'x'\n[route.events]\nheartbeat = { every_s = 5 }\nends_on.field = 'f'");
  EXPECT_EQ(settings.size(), 8U);
  EXPECT_EQ(settings.at("redis").line, 1);
  EXPECT_EQ(settings.at("redis.url").line, 2);
  EXPECT_EQ(settings.at("route.events").line, 3);
  EXPECT_EQ(settings.at("route.events.heartbeat.every_s").line, 4);
  EXPECT_EQ(std::get<std::string>(settings.at("route.events.ends_on.field").value), "f");
  EXPECT_TRUE(std::holds_alternative<Setting::Table>(settings.at("route.events.ends_on").value));
}

TEST(Toml, EachTableOfAListHasItsIndex) {
  for (const char* text : {"[[a]]\nb = 1\n[[a]]\nb = 2\n", "a = [\n{ b = 1 },\n{ b = 2 }]"}) {
    const auto settings = flat(text);
    EXPECT_EQ(std::get<Setting::TableList>(settings.at("a").value).size, 2U);
    EXPECT_EQ(std::get<std::int64_t>(settings.at("a[0].b").value), 1);
    EXPECT_EQ(std::get<std::int64_t>(settings.at("a[1].b").value), 2);
  }
}

TEST(Toml, ATableComesBeforeItsKeys) {
  const auto parsed = flatten_toml("[a.b]\nc = 1\n");
  const auto& settings = std::get<FlatToml>(parsed);
  ASSERT_EQ(settings.size(), 3U);
  EXPECT_EQ(settings[0].first, "a");
  EXPECT_EQ(settings[1].first, "a.b");
  EXPECT_EQ(settings[2].first, "a.b.c");
}

TEST(Toml, ValuesKeepTheirTypes) {
  EXPECT_EQ(value_of<std::string>("'text'"), "text");
  EXPECT_EQ(value_of<std::int64_t>("-5"), -5);
  EXPECT_EQ(value_of<double>("0.5"), 0.5);
  EXPECT_EQ(value_of<bool>("true"), true);
  EXPECT_EQ(value_of<std::vector<std::string>>("['a', 'b']"), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(value_of<std::vector<std::string>>("[]").empty());
  EXPECT_EQ(value_of<Setting::Other>("[1, 2]").name, "a list of something else");
  EXPECT_EQ(value_of<Setting::Other>("2026-01-01").name, "a date or time");
}

TEST(Toml, OneValueMayBeATable) {
  const auto settings = flatten_toml_value("a.b", "{ c = 1 }");
  ASSERT_TRUE(settings);
  ASSERT_EQ(settings->size(), 2U);
  EXPECT_EQ((*settings)[0].first, "a.b");
  EXPECT_EQ((*settings)[1].first, "a.b.c");
  EXPECT_EQ((*settings)[1].second.line, 0);
}

TEST(Toml, OneValueMayNotBeABareWordOrSeveralKeys) {
  for (const char* value : {"", "word", "127.0.0.1:80", "1\nother = 2", "{"})
    EXPECT_FALSE(flatten_toml_value("key", value)) << value;
}

TEST(Toml, ADotInANameIsReplaced) {
  EXPECT_EQ(flat("'a.b' = 1").count("a?b"), 1U);
}

TEST(Toml, AnErrorHasItsLine) {
  EXPECT_EQ(error_of("a = 1\n[b\n").line, 2);
  EXPECT_EQ(error_of("a = 1\na = 2\n").line, 2);
  EXPECT_FALSE(error_of("a = ").text.empty());
}

TEST(Toml, InvalidUtf8IsReportedInItsLine) {
  const TomlError error = error_of("a = 1\nb = 2\nc = '\xFF'\n");
  EXPECT_EQ(error.line, 3);
  EXPECT_EQ(error.text, "is not valid UTF-8");
}

std::string repeated(std::string_view text, int times) {
  std::string made;
  for (int i = 0; i < times; ++i) made += text;
  return made;
}

// toml++ recurses for each part of a key, so that 50,000 parts would overflow the stack.
TEST(Toml, AKeyWithTooManyPartsIsAnError) {
  for (const std::string_view part :
       {"a.", "a . ", "\"a\".", "'a'.", "''.", "\"#,=[\\\"\".", "a.a.a.'='.\ta."}) {
    const std::string parts = repeated(part, 50'000);
    for (const std::string& line :
         {parts + "b = 1", '[' + parts + "b]", "[[" + parts + "b]]", "x = { " + parts + "b = 1 }"}) {
      const TomlError error = error_of("c = 1\n" + line + "\n");
      EXPECT_EQ(error.line, 2) << line.substr(0, 20);
      EXPECT_EQ(error.text, "a key may have at most 16 parts") << line.substr(0, 20);
    }
    EXPECT_FALSE(flatten_toml_value("key", "{ " + parts + "b = 1 }"));
  }
  EXPECT_EQ(error_of(repeated("a.", 16) + "b = 1").text, "a key may have at most 16 parts");
  EXPECT_EQ(flat(repeated("a.", 15) + "b = 1").count(repeated("a.", 15) + "b"), 1U);
}

TEST(Toml, AValueWithTooManyLevelsIsAnError) {
  for (const std::string_view level : {"[", "{ a = ", "{ a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a = "}) {
    EXPECT_EQ(error_of("\nx = " + repeated(level, 17)).text, "a value may have at most 16 levels");
    EXPECT_EQ(error_of("\nx = " + repeated(level, 17)).line, 2);
  }
  EXPECT_EQ(flat("x = " + repeated("[", 16) + repeated("]", 16)).count("x"), 1U);
  EXPECT_EQ(flat(repeated("[[x]]\ny = [1]\n", 50)).count("x[49].y"), 1U) << "levels that have ended";
}

TEST(Toml, DotsAndBracketsInTextsAndCommentsCountForNoKey) {
  const std::string dots = repeated("..[{", 100);
  const std::string text = "# " + dots + "\na = \"" + dots + "\\\"" + dots + "\" # " + dots + "\nb = '" +
                           dots + "'\nc = \"\"\"" + dots + "\n\"" + dots + "\"\"\"\nd = '''" + dots + "\n'" +
                           dots + "'''\ne = \"\"\nf = 1.5\n";
  const auto settings = flat(text);
  EXPECT_EQ(settings.size(), 6U);
  EXPECT_EQ(std::get<std::string>(settings.at("b").value), dots);
  EXPECT_EQ(settings.at("f").line, 9);
  EXPECT_EQ(error_of(text + repeated("a.", 16) + "b = 1").line, 10);
  EXPECT_EQ(flat("a = [" + repeated("'10.0.0.0/8', 'b',\n", 100) + "]").count("a"), 1U);
}

// A string that does not end is for toml++ to report, and hides no key of a later line.
TEST(Toml, AStringThatDoesNotEndHidesNoLaterKey) {
  for (const std::string_view begin : {"a = \"x\n", "a = 'x\n", "a = \"x\\\n"}) {
    EXPECT_EQ(error_of(std::string(begin) + repeated("a.", 16) + "b = 1").text,
              "a key may have at most 16 parts");
  }
  for (const std::string_view begin : {"a = \"\"\"x", "a = \"x\\", "a = '", "#"}) flatten_toml(begin);
}

TEST(Toml, ATextWithoutQuotesGetsAHint) {
  EXPECT_NE(error_of("source = channel").text.find("a text needs quotes around it"), std::string::npos);
  EXPECT_EQ(error_of("source = 'channel").text.find("a text needs quotes around it"), std::string::npos);
}

}  // namespace
}  // namespace tailgate
