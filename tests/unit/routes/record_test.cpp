#include "gateway/routes/record.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "gateway/text/json.h"

namespace tailgate {
namespace {

using As = RecordField::As;
using Texts = std::vector<std::optional<std::string>>;

RecordRule blog_rule() {
  RecordRule rule;
  rule.name = "job";
  rule.user = "user_id";
  rule.session = "session_id";
  rule.status = "status";
  rule.terminal = {"succeeded", "failed"};
  rule.fields = {{.name = "progress", .from = "progress", .as = As::kNumber, .absent = "0"},
                 {.name = "step", .from = "current_step", .as = As::kText},
                 {.name = "result", .from = "result", .as = As::kJson},
                 {.name = "error", .from = "error", .as = As::kText, .absent = "\"Job failed\""}};
  rule.list_fields();
  return rule;
}

// The value of a field whose text in the hash is `text`.
std::string hash_value(As as, const std::string& text) {
  RecordRule rule;
  rule.fields = {{.name = "x", .from = "x", .as = as, .absent = "\"absent\""}};
  return record_from_hash(rule, {"x"}, {text})->values.at("x");
}

// The value of a field whose member in the answer is `json`.
std::string member_value(As as, const std::string& json) {
  RecordRule rule;
  rule.fields = {{.name = "x", .from = "x", .as = as, .absent = "\"absent\""}};
  return record_from_json(rule, "{\"x\":" + json + "}")->values.at("x");
}

TEST(RecordRule, ListsOwnersAndStatusFirstAndJsonLast) {
  const RecordRule rule = blog_rule();
  EXPECT_EQ(rule.watch_fields, (std::vector<std::string>{"user_id", "session_id", "status", "progress",
                                                         "current_step", "error"}));
  EXPECT_EQ(rule.hash_fields, (std::vector<std::string>{"user_id", "session_id", "status", "progress",
                                                        "current_step", "error", "result"}));
}

TEST(RecordRule, ListsNoFieldTwiceAndNoEmptyName) {
  RecordRule rule;
  rule.status = "state";
  rule.fields = {{.name = "a", .from = "state"}, {.name = "b", .from = "x"}, {.name = "c", .from = "x"}};
  rule.list_fields();
  EXPECT_EQ(rule.hash_fields, (std::vector<std::string>{"state", "x"}));
}

TEST(Record, IsReadFromAHash) {
  const RecordRule rule = blog_rule();
  const auto record = record_from_hash(
      rule, rule.hash_fields, {"u1", "s1", "running", "40", "Writing \"it\"", std::nullopt, R"({"a": [1]})"});
  ASSERT_TRUE(record);
  EXPECT_EQ(record->user, "u1");
  EXPECT_EQ(record->session, "s1");
  EXPECT_EQ(record->status, "running");
  EXPECT_FALSE(record->terminal);
  EXPECT_EQ(record->values.at("status"), "\"running\"");
  EXPECT_EQ(record->values.at("progress"), "40");
  EXPECT_EQ(record->values.at("step"), R"("Writing \"it\"")");
  EXPECT_EQ(record->values.at("result"), R"({"a": [1]})");
  EXPECT_EQ(record->values.at("error"), "\"Job failed\"");
}

TEST(Record, HasTheAbsentValueForAFieldThatTheHashLacks) {
  const RecordRule rule = blog_rule();
  const auto record = record_from_hash(rule, rule.hash_fields, {"u1", {}, {}, {}, {}, {}, {}});
  ASSERT_TRUE(record);
  EXPECT_EQ(record->session, "");
  EXPECT_EQ(record->status, "");
  EXPECT_FALSE(record->terminal);
  EXPECT_EQ(record->values.at("status"), "null");
  EXPECT_EQ(record->values.at("progress"), "0");
  EXPECT_EQ(record->values.at("step"), "null");
  EXPECT_EQ(record->values.at("error"), "\"Job failed\"");
}

TEST(Record, IsReadFromTheWatchedFields) {
  const RecordRule rule = blog_rule();
  const auto record = record_from_hash(rule, rule.watch_fields, {"7", {}, "failed", {}, {}, {}});
  ASSERT_TRUE(record);
  EXPECT_EQ(record->user, "7");
  EXPECT_TRUE(record->terminal);
  EXPECT_EQ(record->values.at("progress"), "0");
}

TEST(Record, DoesNotExistIfAllFieldsAreAbsent) {
  const RecordRule rule = blog_rule();
  EXPECT_FALSE(record_from_hash(rule, rule.watch_fields, Texts(3)));
  EXPECT_FALSE(record_from_hash(rule, {}, {}));
}

TEST(Record, IsTerminalOnlyAtAnExactTerminalStatus) {
  const RecordRule rule = blog_rule();
  EXPECT_TRUE(rule.is_terminal("succeeded"));
  for (const char* status : {"", "Succeeded", "succeeded ", "success", "running"})
    EXPECT_FALSE(rule.is_terminal(status));
}

TEST(Record, PassesANumberUnchanged) {
  for (const char* text : {"0", "-1", "40", "0.50", "1e5", "12345678901234567890"})
    EXPECT_EQ(hash_value(As::kNumber, text), text);
  EXPECT_EQ(hash_value(As::kNumber, " 5\n"), "5");
}

TEST(Record, HasTheAbsentValueForATextThatIsNotANumber) {
  for (const char* text : {"", " ", "NaN", "None", "null", "undefined", "Infinity", "+5", ".5", "5.", "05",
                           "0x5", "5 6", "\"5\"", "[5]"}) {
    EXPECT_EQ(hash_value(As::kNumber, text), "\"absent\"") << text;
  }
}

TEST(Record, PassesJsonUnchanged) {
  for (const char* text : {"{}", R"({ "a" : 1 })", "[1,2]", "\"x\"", "5", "true"})
    EXPECT_EQ(hash_value(As::kJson, text), text);
}

TEST(Record, HasTheAbsentValueForATextThatIsNotJson) {
  for (const char* text : {"", "{", "{'a': 1}", "None", "plain", "null"}) {
    EXPECT_EQ(hash_value(As::kJson, text), "\"absent\"") << text;
  }
}

TEST(Record, ReplacesInvalidUtf8) {
  EXPECT_EQ(hash_value(As::kJson, "\"\xFF\""), "\"\xEF\xBF\xBD\"");
  EXPECT_EQ(hash_value(As::kText, "\xFF\n"), "\"\xEF\xBF\xBD\\n\"");
  EXPECT_EQ(member_value(As::kJson, "\"\xFF\""), "\"\xEF\xBF\xBD\"");
}

TEST(Record, KeepsAnEmptyText) {
  EXPECT_EQ(hash_value(As::kText, ""), "\"\"");
}

TEST(Record, IsReadFromAnApplicationsAnswer) {
  const RecordRule rule = blog_rule();
  const auto record = record_from_json(
      rule,
      R"({"jobId":"j","status":"succeeded","progress":100,"current_step":null,"result":{"post": "é"},"error":null})");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->user, "");
  EXPECT_EQ(record->session, "");
  EXPECT_EQ(record->status, "succeeded");
  EXPECT_TRUE(record->terminal);
  EXPECT_EQ(record->values.at("progress"), "100");
  EXPECT_EQ(record->values.at("step"), "null");
  EXPECT_EQ(record->values.at("result"), R"({"post": "é"})");
  EXPECT_EQ(record->values.at("error"), "\"Job failed\"");
}

TEST(Record, ReadsAMemberOfAnyTypeAsItsField) {
  EXPECT_EQ(member_value(As::kText, "\"\\u0041\""), "\"A\"");
  EXPECT_EQ(member_value(As::kText, "5.0"), "\"5.0\"");
  EXPECT_EQ(member_value(As::kText, "true"), "\"true\"");
  EXPECT_EQ(member_value(As::kText, "{}"), "\"absent\"");
  EXPECT_EQ(member_value(As::kText, "null"), "\"absent\"");
  EXPECT_EQ(member_value(As::kNumber, "1.5"), "1.5");
  EXPECT_EQ(member_value(As::kNumber, "\"15\""), "15");
  EXPECT_EQ(member_value(As::kNumber, "\"soon\""), "\"absent\"");
  EXPECT_EQ(member_value(As::kNumber, "true"), "\"absent\"");
  EXPECT_EQ(member_value(As::kNumber, "[1]"), "\"absent\"");
  EXPECT_EQ(member_value(As::kJson, "\"text\""), "\"text\"");
  EXPECT_EQ(member_value(As::kJson, "[ 1 ]"), "[ 1 ]");
  EXPECT_EQ(member_value(As::kJson, "null"), "\"absent\"");
}

TEST(Record, HasNoStatusIfTheMemberIsNotAString) {
  const RecordRule rule = blog_rule();
  for (const char* body : {"{}", R"({"status":null})", R"({"status":1})", R"({"status":["failed"]})"}) {
    const auto record = record_from_json(rule, body);
    ASSERT_TRUE(record) << body;
    EXPECT_EQ(record->status, "") << body;
    EXPECT_FALSE(record->terminal) << body;
  }
}

TEST(Record, RefusesAnAnswerThatIsNotAJsonObject) {
  for (const char* body : {"", "null", "[]", "\"x\"", "<html>", "{\"status\":"}) {
    EXPECT_FALSE(record_from_json(blog_rule(), body)) << body;
  }
}

TEST(MaySee, IsTrueForTheOwningUserAndTheOwningSession) {
  Record record;
  record.user = "42";
  record.session = "s";
  EXPECT_TRUE(may_see(record, "42", ""));
  EXPECT_TRUE(may_see(record, "", "s"));
  EXPECT_TRUE(may_see(record, "other", "s"));
  EXPECT_TRUE(may_see(record, "42", "other"));
  EXPECT_FALSE(may_see(record, "other", "other"));
  EXPECT_FALSE(may_see(record, "s", "42"));
}

TEST(MaySee, IsFalseForEmptyNames) {
  Record record;
  EXPECT_FALSE(may_see(record, "", ""));
  EXPECT_FALSE(may_see(record, "u", "s"));
  record.user = "u";
  EXPECT_FALSE(may_see(record, "", ""));
}

TEST(Record, HasTheAbsentValueForANumberThatIsNotFiniteOrTooLong) {
  // All are valid JSON.  JSON.parse() reads the first three as Infinity; the last one has more than 64 bytes.
  for (const std::string& number : {std::string("1e999"), std::string("-1e400"), "1" + std::string(400, '0'),
                                    "0." + std::string(100, '1')}) {
    EXPECT_EQ(hash_value(As::kNumber, number), "\"absent\"") << number;
    EXPECT_EQ(member_value(As::kNumber, number), "\"absent\"") << number;
    EXPECT_EQ(member_value(As::kNumber, '"' + number + '"'), "\"absent\"") << number;
  }
  EXPECT_EQ(hash_value(As::kText, "1e999"), "\"1e999\"");
  EXPECT_EQ(hash_value(As::kNumber, "1e-999"), "1e-999") << "JSON.parse() reads 0";
  EXPECT_EQ(hash_value(As::kNumber, "1.7976931348623157e308"), "1.7976931348623157e308");
  EXPECT_EQ(hash_value(As::kNumber, "-9007199254740993"), "-9007199254740993");
}

}  // namespace
}  // namespace tailgate
