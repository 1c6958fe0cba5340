#include "gateway/routes/framing.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

// The routes events, spools and job of deploy/all-three.toml.
Route builder() {
  Route route;
  route.framing = Framing::kRaw;
  route.ends_on_field = "status";
  route.ends_on_values = {"ready", "failed"};
  return route;
}

Route spools() {
  Route route;
  route.framing = Framing::kRaw;
  route.event = "spool_update";
  route.id_from = "timestamp";
  route.only_objects = true;
  return route;
}

Route blog() {
  Route route;
  route.framing = Framing::kNamed;
  route.name_from = {"event", "type"};
  route.data_from = "data";
  route.ends_on_events = {"complete", "failed"};
  return route;
}

std::string framed(const Route& route, std::string_view payload, FramingResult expected) {
  std::string out;
  EXPECT_EQ(append_message(out, route, payload), expected) << payload;
  return out;
}

TEST(Framing, PassesARawPayloadUnchanged) {
  EXPECT_EQ(framed(builder(), R"({"type":"build.stage.started","status":"running"})", FramingResult::kFrame),
            "data: {\"type\":\"build.stage.started\",\"status\":\"running\"}\n\n");
  EXPECT_EQ(framed(builder(), "no JSON, \xff", FramingResult::kFrame), "data: no JSON, \xff\n\n");
}

TEST(Framing, EndsARawStreamOnlyOnATerminalStatus) {
  EXPECT_EQ(framed(builder(), R"({"status":"ready"})", FramingResult::kLastFrame),
            "data: {\"status\":\"ready\"}\nid: end\n\n");
  framed(builder(), R"({"status":"\u0072eady"})", FramingResult::kLastFrame);
  framed(builder(), R"({"status":"ready now"})", FramingResult::kFrame);
  framed(builder(), R"({"status":["ready"]})", FramingResult::kFrame);
  framed(builder(), R"({"inner":{"status":"ready"}})", FramingResult::kFrame);
  framed(builder(), R"(["status","ready"])", FramingResult::kFrame);
  framed(builder(), R"({"status":"ready")", FramingResult::kFrame);
}

TEST(Framing, ReadsTheIdOfASpoolUpdateFromItsTimestamp) {
  EXPECT_EQ(
      framed(spools(), R"({"timestamp":"2026-01-27T22:13:37Z"})", FramingResult::kFrame),
      "event: spool_update\ndata: {\"timestamp\":\"2026-01-27T22:13:37Z\"}\nid: 2026-01-27T22:13:37Z\n\n");
  EXPECT_EQ(framed(spools(), R"({"timestamp":17.5})", FramingResult::kFrame),
            "event: spool_update\ndata: {\"timestamp\":17.5}\nid: 17.5\n\n");
}

TEST(Framing, OmitsAnIdThatCouldForgeAField) {
  for (const char* payload :
       {R"({"timestamp":"1\nid: 2"})", R"({"timestamp":"1\r2"})", R"({"timestamp":"1\u00002"})",
        R"({"timestamp":null})", R"({"timestamp":{"a":1}})", R"({})"}) {
    const std::string out = framed(spools(), payload, FramingResult::kFrame);
    EXPECT_EQ(out, "event: spool_update\ndata: " + std::string(payload) + "\n\n");
  }
}

TEST(Framing, SkipsASpoolUpdateThatIsNotAnObject) {
  for (const char* payload : {"", "text", "[]", "1", "\"x\"", "{\"a\":1", "{\"a\":1}}"}) {
    EXPECT_EQ(framed(spools(), payload, FramingResult::kSkipped), "");
  }
}

TEST(Framing, NamesABlogEventByItsEventOrType) {
  EXPECT_EQ(framed(blog(), R"({"event":"step-change","data":{"progress": 1.50}})", FramingResult::kFrame),
            "event: step-change\ndata: {\"progress\": 1.50}\n\n");
  EXPECT_EQ(framed(blog(), R"({"type":"progress-update","data":[1,2]})", FramingResult::kFrame),
            "event: progress-update\ndata: [1,2]\n\n");
  EXPECT_EQ(framed(blog(), R"({"event":7,"type":"t","data":1})", FramingResult::kFrame),
            "event: t\ndata: 1\n\n");
}

TEST(Framing, UnquotesStringDataAndReplacesAbsentDataByAnObject) {
  EXPECT_EQ(framed(blog(), R"({"event":"note","data":"a\nb"})", FramingResult::kFrame),
            "event: note\ndata: a\ndata: b\n\n");
  EXPECT_EQ(framed(blog(), R"({"event":"note"})", FramingResult::kFrame), "event: note\ndata: {}\n\n");
  EXPECT_EQ(framed(blog(), R"({"event":"note","data":null})", FramingResult::kFrame),
            "event: note\ndata: null\n\n");
}

TEST(Framing, EndsANamedStreamOnATerminalStatusInThePayload) {
  Route route = blog();
  route.ends_on_field = "status";
  route.ends_on_values = {"done"};
  EXPECT_EQ(framed(route, R"({"event":"moved","status":"done","data":1})", FramingResult::kLastFrame),
            "event: moved\ndata: 1\nid: end\n\n");
  framed(route, R"({"event":"moved","status":"on its way","data":1})", FramingResult::kFrame);
  framed(route, R"({"event":"complete","status":"on its way"})", FramingResult::kLastFrame);
  framed(route, R"({"status":"done"})", FramingResult::kSkipped);
}

TEST(Framing, EndsABlogStreamOnCompleteAndFailed) {
  EXPECT_EQ(framed(blog(), R"({"event":"complete","data":{"result":1}})", FramingResult::kLastFrame),
            "event: complete\ndata: {\"result\":1}\nid: end\n\n");
  framed(blog(), R"({"type":"failed","data":{}})", FramingResult::kLastFrame);
  framed(blog(), R"({"type":"completed","data":{}})", FramingResult::kFrame);
}

TEST(Framing, SkipsABlogEventWithoutAUsableName) {
  for (const char* payload : {"x", "[]", "{}", R"({"event":""})", R"({"event":"a\nb"})", R"({"event":"a\r"})",
                              R"({"event":"a\u0000"})", R"({"data":1})"}) {
    framed(blog(), payload, FramingResult::kSkipped);
  }
}

TEST(Framing, ReplacesInvalidUtf8InBlogData) {
  EXPECT_EQ(framed(blog(), "{\"event\":\"n\",\"data\":{\"a\":\"\xff\"}}", FramingResult::kFrame),
            "event: n\ndata: {\"a\":\"\xef\xbf\xbd\"}\n\n");
}

TEST(Framing, WritesNullForAFieldThatAnEntryLacks) {
  std::string out;
  append_line(out, {"ts", "text"}, {.id = {5, 1}, .fields = {{"text", "a\"b\n"}, {"other", "x"}}});
  EXPECT_EQ(out, R"({"id":"5-1","ts":null,"text":"a\"b\n"})");
}

// Client libraries make a map of an entry, in which the last value of a name stays.
TEST(Framing, WritesTheLastValueOfAFieldThatAnEntryHasTwice) {
  std::string out;
  const LogEntry entry{.id = {5, 1},
                       .fields = {{"text", "first"}, {"ts", "1"}, {"text", "second"}, {"text", "last"}}};
  append_line(out, {"ts", "text"}, entry);
  EXPECT_EQ(out, R"({"id":"5-1","ts":"1","text":"last"})");
}

TEST(Framing, ParsesTheIdOfALastFrame) {
  EXPECT_EQ(parse_end_id("end"), EntryId{});
  EXPECT_EQ(parse_end_id("end.5-1"), (EntryId{5, 1}));
  for (const char* text : {"", "en", "end.", "end.5", "ended", "end5-1", "5-1"})
    EXPECT_FALSE(parse_end_id(text)) << text;
}

TEST(Framing, PassesANumberAsIdUnchanged) {
  // No client computes with an id, so it may be a number beyond a double.
  EXPECT_NE(framed(spools(), R"({"timestamp":1e400})", FramingResult::kFrame).find("\nid: 1e400\n"),
            std::string::npos);
}

TEST(Framing, OmitsAnIdTooLongForAHeader) {
  const auto payload = [](std::size_t size) { return R"({"timestamp":")" + std::string(size, 'x') + "\"}"; };
  EXPECT_NE(framed(spools(), payload(1024), FramingResult::kFrame).find("\nid: x"), std::string::npos);
  const std::string without_id = framed(spools(), payload(1025), FramingResult::kFrame);
  EXPECT_EQ(without_id.find("\nid:"), std::string::npos);
  EXPECT_NE(without_id.find(payload(1025)), std::string::npos) << "the event itself passes";
}

TEST(Framing, OmitsAnIdOfThePayloadThatWouldEndTheStream) {
  for (const char* id : {"end", "end.5-1", "end.", "end ", "x, end", "10:30,end.5-1"}) {
    const std::string payload = R"({"timestamp":")" + std::string(id) + "\"}";
    EXPECT_EQ(framed(spools(), payload, FramingResult::kFrame),
              "event: spool_update\ndata: " + payload + "\n\n");
  }
  EXPECT_NE(framed(spools(), R"({"timestamp":"ending"})", FramingResult::kFrame).find("\nid: ending\n"),
            std::string::npos);
  EXPECT_NE(
      framed(spools(), R"({"timestamp":"the end, or not"})", FramingResult::kFrame).find("\nid: the end"),
      std::string::npos);
}

}  // namespace
}  // namespace tailgate
