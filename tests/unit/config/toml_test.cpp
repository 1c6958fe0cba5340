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

TEST(Toml, ATextWithoutQuotesGetsAHint) {
  EXPECT_NE(error_of("source = channel").text.find("a text needs quotes around it"), std::string::npos);
  EXPECT_EQ(error_of("source = 'channel").text.find("a text needs quotes around it"), std::string::npos);
}

}  // namespace
}  // namespace tailgate
