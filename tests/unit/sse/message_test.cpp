#include "gateway/sse/message.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace tailgate {
namespace {

using Kind = Message::Kind;

const std::vector<std::string> kKnown = {"id", "status", "now", "result"};

std::string written(const Result<Message>& message, const Values& values = {}, std::string_view id = {}) {
  std::string out;
  message->append_to(out, values, id);
  return out;
}

std::string error_of(const Result<Message>& message) {
  return message ? "" : message.error();
}

TEST(Template, InsertsValues) {
  const auto compiled = Template::compile("a ${id} b ${status}${now}$", kKnown);
  ASSERT_TRUE(compiled);
  const Values values{{"id", "\"j\\\"1\""}, {"status", "null"}, {"now", "5"}};
  EXPECT_EQ(compiled->render_json(values), "a \"j\\\"1\" b null5$");
  EXPECT_EQ(compiled->render_text(values), "a j\"1 b null5$");
}

TEST(Template, WritesNullForANameWithoutAValue) {
  EXPECT_EQ(Template::compile("${id}", kKnown)->render_json({}), "null");
  EXPECT_EQ(Template::compile("${id}", kKnown)->render_text({}), "null");
}

TEST(Template, MayBeEmptyOrWithoutNames) {
  EXPECT_EQ(Template::compile("", kKnown)->render_text({}), "");
  EXPECT_EQ(Template::compile("$ {x} $}", kKnown)->render_text({}), "$ {x} $}");
}

TEST(Template, MentionsOnlyNamesInBraces) {
  const auto compiled = Template::compile("id ${now}", kKnown);
  ASSERT_TRUE(compiled);
  EXPECT_TRUE(compiled->mentions("now"));
  EXPECT_FALSE(compiled->mentions("id"));
  EXPECT_FALSE(Template::compile("now", kKnown)->mentions("now"));
}

TEST(Template, RefusesAnUnknownName) {
  EXPECT_EQ(Template::compile("${idd}", kKnown).error(),
            "${idd} is no name that is known here; known are id, status, now, result");
  EXPECT_FALSE(Template::compile("${}", kKnown));
  EXPECT_FALSE(Template::compile("${ id }", kKnown));
}

TEST(Template, RefusesAnUnclosedName) {
  EXPECT_FALSE(Template::compile("a ${id", kKnown));
}

TEST(Template, DoesNotReplaceNamesInsideValues) {
  EXPECT_EQ(Template::compile("${id}", kKnown)->render_text({{"id", "\"${status}\""}, {"status", "1"}}),
            "${status}");
}

TEST(Message, WritesAnEvent) {
  EXPECT_EQ(written(Message::make(Kind::kJsonEvent, "done", R"({"status":${status}})", kKnown),
                    {{"status", "\"ready\""}}),
            "event: done\ndata: {\"status\":\"ready\"}\n\n");
}

TEST(Message, WritesAnEventWithoutAName) {
  EXPECT_EQ(written(Message::make(Kind::kJsonEvent, "", "{}", kKnown)), "data: {}\n\n");
}

TEST(Message, PutsTheIdLast) {
  EXPECT_EQ(written(Message::make(Kind::kJsonEvent, "e", "{}", kKnown), {}, "end"),
            "event: e\ndata: {}\nid: end\n\n");
}

TEST(Message, WritesAComment) {
  EXPECT_EQ(written(Message::make(Kind::kComment, "", "ping - ${now}", kKnown), {{"now", "\"2026\""}}),
            ": ping - 2026\n\n");
}

TEST(Message, ACommentHasNoId) {
  EXPECT_EQ(written(Message::make(Kind::kComment, "", "ok", kKnown), {}, "end"), ": ok\n\n");
}

TEST(Message, MayHavePlainTextAsData) {
  EXPECT_EQ(written(Message::make(Kind::kTextEvent, "", "[DONE]", kKnown), {}, "end"),
            "data: [DONE]\nid: end\n\n");
  EXPECT_EQ(written(Message::make(Kind::kTextEvent, "e", "job ${id}", kKnown), {{"id", "\"j\""}}),
            "event: e\ndata: job j\n\n");
}

TEST(Message, WritesADataLineForEachLineOfItsTemplate) {
  EXPECT_EQ(written(Message::make(Kind::kJsonEvent, "e", "{\n\"id\":${id}\r\n}", kKnown), {{"id", "1"}}),
            "event: e\ndata: {\ndata: \"id\":1\ndata: }\n\n");
}

TEST(Message, NoValueForgesAFieldOrAnEvent) {
  const std::string evil = "\"a\\n\\nevent: forged\\r\\ndata: x\"";
  EXPECT_EQ(written(Message::make(Kind::kTextEvent, "e", "${id}", kKnown), {{"id", evil}}),
            "event: e\ndata: a\ndata: \ndata: event: forged\ndata: data: x\n\n");
  EXPECT_EQ(written(Message::make(Kind::kComment, "", "${id}", kKnown), {{"id", "\"a\\n\\ndata: x\""}}),
            ": a\n: \n: data: x\n\n");
}

TEST(Message, RefusesAnEventNameWithALineEndOrNul) {
  using namespace std::string_view_literals;
  for (const std::string_view name : {"a\nb"sv, "a\rb"sv, "a\0b"sv}) {
    EXPECT_FALSE(Message::make(Kind::kJsonEvent, name, "{}", kKnown));
    EXPECT_FALSE(Message::make(Kind::kTextEvent, name, "", kKnown));
  }
}

TEST(Message, RefusesDataThatIsNotJsonOnceFilledIn) {
  for (const char* data : {"", "{", "hello", R"({"id":"${id}"})", R"({"id":"job ${id}"})", R"({${id}:1})",
                           R"([${id}${status}])", R"(1${id})", "{'a':1}"}) {
    EXPECT_NE(error_of(Message::make(Kind::kJsonEvent, "e", data, kKnown)).find("must be JSON"),
              std::string::npos)
        << data;
  }
}

TEST(Message, AcceptsDataThatIsJsonOnceFilledIn) {
  for (const char* data :
       {"{}", "[]", "1", "${id}", R"([${id},${status}])", R"({"a":{"b":${result}},"c":"$"})"}) {
    EXPECT_TRUE(Message::make(Kind::kJsonEvent, "e", data, kKnown)) << data;
  }
}

// Else clients get the comment ": job {id}".
TEST(Message, RefusesTheSpellingOfKeys) {
  for (const Kind kind : {Kind::kComment, Kind::kTextEvent}) {
    EXPECT_EQ(error_of(Message::make(kind, "", "${now} job {id}", kKnown)),
              "write ${id}, not {id}, which only keys and paths have");
    EXPECT_EQ(error_of(Message::make(kind, "", "job ${id} {ids} {x}", kKnown)), "");
  }
  EXPECT_EQ(error_of(Message::make(Kind::kJsonEvent, "", R"({"hint":"/jobs/{id}"})", kKnown)), "");
}

TEST(Message, RefusesAnUnknownNameInEveryKind) {
  EXPECT_FALSE(Message::make(Kind::kJsonEvent, "e", "${nobody}", kKnown));
  EXPECT_FALSE(Message::make(Kind::kTextEvent, "e", "${nobody}", kKnown));
  EXPECT_FALSE(Message::make(Kind::kComment, "", "${nobody}", kKnown));
}

}  // namespace
}  // namespace tailgate
