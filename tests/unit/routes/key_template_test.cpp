#include "gateway/routes/key_template.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tailgate {
namespace {

using Names = std::vector<std::string>;

const Names kId{"id"};
const Names kOrgAndId{"org", "id"};

std::string expanded(std::string_view text, const Names& names, std::string_view values) {
  const auto compiled = KeyTemplate::compile(text);
  EXPECT_TRUE(compiled) << text << ": " << compiled.error();
  return compiled ? compiled->expand({.names = names, .values = values}) : std::string();
}

std::string error_of(std::string_view text) {
  const auto compiled = KeyTemplate::compile(text);
  EXPECT_FALSE(compiled) << text;
  return compiled ? std::string() : compiled.error();
}

TEST(KeyTemplate, ReplacesEveryName) {
  EXPECT_EQ(expanded("job:{id}:events", kId, "7"), "job:7:events");
  EXPECT_EQ(expanded("{id}{id}", kId, "7"), "77");
  EXPECT_EQ(expanded("plain", kId, "7"), "plain");
  EXPECT_EQ(expanded("", kId, "7"), "");
  EXPECT_EQ(expanded("{id}", kId, "{id}"), "{id}") << "a value is not a template";
}

TEST(KeyTemplate, ReplacesEachNameByItsOwnValueWhateverTheOrderOfThePath) {
  EXPECT_EQ(expanded("org:{org}:job:{id}", kOrgAndId, "acme/7"), "org:acme:job:7");
  EXPECT_EQ(expanded("job:{id}:of:{org}:{id}", kOrgAndId, "acme/7"), "job:7:of:acme:7");
  EXPECT_EQ(expanded("org:{org}:job:{id}", {"id", "org"}, "7/acme"), "org:acme:job:7");
}

TEST(KeyTemplate, TakesDoubledBracesForBraces) {
  EXPECT_EQ(expanded("{{bull}}:job:{id}:logs", kId, "7"), "{bull}:job:7:logs");
  EXPECT_EQ(expanded("job:{{{id}}}:logs", kId, "7"), "job:{7}:logs");
  EXPECT_EQ(expanded("{{{org}:{id}}}", kOrgAndId, "acme/7"), "{acme:7}");
  EXPECT_EQ(expanded("{{id}}", kId, "7"), "{id}");
  EXPECT_EQ(expanded("}}{{{{", kId, "7"), "}{{");
}

TEST(KeyTemplate, ListsTheNamesThatItUsesOnce) {
  EXPECT_EQ(KeyTemplate::compile("{id}:{org}:{id}:{{x}}")->names(), (Names{"id", "org"}));
  EXPECT_EQ(KeyTemplate::compile("{{id}}")->names(), Names{});
}

TEST(KeyTemplate, KnowsWhichNameIsInBraces) {
  EXPECT_TRUE(KeyTemplate::compile("job:{{id}}:logs")->has_in_braces("id"));
  EXPECT_FALSE(KeyTemplate::compile("job:{{{id}}}:logs")->has_in_braces("id"));
  EXPECT_FALSE(KeyTemplate::compile("job:{{ids}}:logs")->has_in_braces("id"));
}

TEST(KeyTemplate, ExplainsHowBracesAreWritten) {
  const std::string how = "write {{ and }} for braces";
  EXPECT_EQ(error_of("job:{id"), "a \"{\" is not closed; " + how);
  EXPECT_EQ(error_of("job:id}"), "a \"}\" closes nothing; " + how);
  EXPECT_EQ(error_of("{{id}"), "a \"}\" closes nothing; " + how);
  EXPECT_EQ(error_of("{id}}"), "a \"}\" closes nothing; " + how);
  for (const char* text : {"{Id}", "{}", "{a-b}", "{1}", "{_a}", "{ id}", "{a{id}", "{ä}"}) {
    const std::string error = error_of(text);
    EXPECT_NE(error.find(" is no name: "), std::string::npos) << error;
    EXPECT_NE(error.find(how), std::string::npos) << error;
  }
}

// {org} can hold "-" here, and {id} can hold "-" and ":".  {u} can hold "-", and has one length.
TEST(KeyTemplate, FindsTwoNamesWithoutACharacterThatSeparatesThem) {
  const auto joined = [](std::string_view text) {
    const SegmentRules rules{
        .can_hold = [](std::string_view name, char c) { return c == '-' || (name == "id" && c == ':'); },
        .form = [](std::string_view name) -> std::string_view { return name == "u" ? "xx-xx" : ""; }};
    const auto names = KeyTemplate::compile(text)->joined_names(rules);
    return names ? names->first + ' ' + names->second : "";
  };
  EXPECT_EQ(joined("job:{org}{id}"), "org id");
  EXPECT_EQ(joined("{org}--{id}"), "org id");
  EXPECT_EQ(joined("{org}:{id}:{org}"), "id org");
  EXPECT_EQ(joined("{org}:{id}"), "");
  EXPECT_EQ(joined("{id}:{org}"), "");
  EXPECT_EQ(joined("{org}-/-{id}/{org}"), "");
  EXPECT_EQ(joined("{org}:{id}{id}"), "");
  EXPECT_EQ(joined("-{id}-"), "");
  EXPECT_EQ(joined("{u}-{org}"), "");
  EXPECT_EQ(joined("{org}{u}"), "");
  EXPECT_EQ(joined("{org}-{u}-{id}"), "org u") << "neither end tells where {org} and {id} part";
  EXPECT_EQ(expanded("{org}:{id}{id}", kOrgAndId, "a/b"), "a:bb");
}

// The stream of "job:$7:events" would be silent for ever.
TEST(KeyTemplate, RefusesTheSpellingOfMessages) {
  EXPECT_EQ(error_of("job:${id}:events"), "write {id}, not ${id}, which only messages have");
  EXPECT_EQ(expanded("$job:{id}$", kId, "7"), "$job:7$");
  EXPECT_EQ(expanded("{{$}}{id}", kId, "7"), "{$}7");
}

// {n} is a number, {u} a UUID, and the other names are letters, digits and "-".
std::string common_text_of(std::string_view a, std::string_view b) {
  const SegmentRules rules{
      .can_hold =
          [](std::string_view name, char c) {
            const bool is_digit = c >= '0' && c <= '9';
            return is_digit || (name != "n" && (c == '-' || (c >= 'a' && c <= 'z')));
          },
      .form = [](std::string_view name) -> std::string_view { return name == "u" ? "xx-xx" : ""; }};
  return common_text(*KeyTemplate::compile(a), rules, *KeyTemplate::compile(b), rules).value_or("none");
}

TEST(KeyTemplate, FindsATextThatTwoTemplatesCanGive) {
  EXPECT_EQ(common_text_of("job-{id}", "job-{id}-secret"), "job-7-secret");
  EXPECT_EQ(common_text_of("{org}:{id}", "job:{id}"), "job:7");
  EXPECT_EQ(common_text_of("{id}:x", "{{a}}:{id}"), "none");
  EXPECT_EQ(common_text_of("job:{id}", "job:{n}"), "job:7");
  EXPECT_EQ(common_text_of("job:{id}", "job:newest"), "job:newest");
  EXPECT_EQ(common_text_of("job:{n}", "job:newest"), "none");
  EXPECT_EQ(common_text_of("job:{id}", "job:{id}:logs"), "none");
  EXPECT_EQ(common_text_of("job:{id}", "jobs:{id}"), "none");
  EXPECT_EQ(common_text_of("a{id}b", "{id}"), "a7b");
  EXPECT_EQ(common_text_of("{id}", ""), "none") << "a value is never empty";
  EXPECT_EQ(common_text_of("", ""), "");
}

TEST(KeyTemplate, KnowsThatAllUuidsHaveOneLength) {
  EXPECT_EQ(common_text_of("job-{u}", "job-{u}-logs"), "none");
  EXPECT_EQ(common_text_of("job-{u}", "job-{id}-logs"), "none") << "no UUID ends in letters of \"logs\"";
  EXPECT_EQ(common_text_of("job-{u}", "job-{id}-77"), "job-77-77");
}

// Tomcat refuses a request line that holds a brace.
TEST(KeyTemplate, EncodesItsOwnBracesForAUrl) {
  EXPECT_EQ(KeyTemplate::compile("/status/{{x}}/{id}")->expand_url({.names = kId, .values = "7"}),
            "/status/%7Bx%7D/7");
}

TEST(KeyTemplate, EncodesValuesForAUrlButNotItsOwnText) {
  const auto path = KeyTemplate::compile("/orgs/{org}/status?job={id}&full=1");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->expand_url({.names = kOrgAndId, .values = "acme/eu:7@x&y=1"}),
            "/orgs/acme/status?job=eu%3A7%40x%26y%3D1&full=1");
  EXPECT_EQ(path->expand({.names = kOrgAndId, .values = "acme/7"}), "/orgs/acme/status?job=7&full=1");
}

TEST(Segments, HaveTheirValuesInTheOrderOfTheNames) {
  const Segments both{.names = kOrgAndId, .values = "acme/7"};
  EXPECT_EQ(both.value(0), "acme");
  EXPECT_EQ(both.value(1), "7");
  const Segments one{.names = kId, .values = "7"};
  EXPECT_EQ(one.value(0), "7");
}

TEST(SegmentName, IsASmallLetterAndThenSmallLettersDigitsAndUnderscores) {
  for (const char* text : {"a", "id", "org_2", "x_"}) EXPECT_TRUE(is_segment_name(text)) << text;
  EXPECT_TRUE(is_segment_name(std::string(40, 'a')));
  EXPECT_FALSE(is_segment_name(std::string(41, 'a')));
  for (const char* text : {"", "A", "aB", "1a", "_a", "a-b", "a b", "a.b", "ä"}) {
    EXPECT_FALSE(is_segment_name(text)) << text;
  }
}

}  // namespace
}  // namespace tailgate
