#include "gateway/text/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/text/text.h"

namespace tailgate {
namespace {

using Kind = JsonValue::Kind;

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

// nlohmann-json is the oracle, except where is_json() differs on purpose: the oracle refuses lone surrogate
// escapes, numbers beyond a double and ill-formed UTF-8, which browsers read.
enum class Opinion { kAccepts, kRefuses, kDiffersOnPurpose };

Opinion oracle(const std::string& text) {
  try {
    [[maybe_unused]] const auto parsed = nlohmann::json::parse(to_utf8(text));
    return Opinion::kAccepts;
  } catch (const nlohmann::json::out_of_range&) {
    return Opinion::kDiffersOnPurpose;
  } catch (const nlohmann::json::exception& error) {
    const bool surrogate = std::string_view(error.what()).find("surrogate") != std::string_view::npos;
    return surrogate ? Opinion::kDiffersOnPurpose : Opinion::kRefuses;
  }
}

void expect_agreement(const std::string& text) {
  const Opinion opinion = oracle(text);
  if (opinion == Opinion::kDiffersOnPurpose) return;
  ASSERT_EQ(is_json(text), opinion == Opinion::kAccepts) << text;
}

const std::vector<std::string>& samples() {
  static const std::vector<std::string> kSamples = {
      R"({"type":"build.stage.completed","stage":"deps","status":"running","job_id":"j-1","n":[1,2.5,-0,1e3]})",
      R"({"event":"progress-update","data":{"progress":50,"currentStep":"Wri\u00e4ting…","eta":null}})",
      R"([{"a":[[],{}]},"\ud83d\ude00",true,false,null,-1.5E-10,""])",
      "  {\n  \"tag\" : \"\\\\\\\"\\/\\b\\f\\n\\r\\t\" ,\t\"x\":[ ] }\r\n",
      R"({"":{"":{"":0}},"status":"ready","status":"failed"})",
  };
  return kSamples;
}

TEST(Json, AcceptsAndRefusesAsTheOracleDoes) {
  for (const char* text : {"",
                           " ",
                           "{}",
                           "[]",
                           "{",
                           "}",
                           "[",
                           "]",
                           "[]]",
                           "{}{}",
                           "[,]",
                           "[1,]",
                           "[,1]",
                           "{,}",
                           "{\"a\":1,}",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\" 1}",
                           "{a:1}",
                           "{1:1}",
                           "{'a':1}",
                           "{\"a\":1 \"b\":2}",
                           "[1 2]",
                           "[1}",
                           "{\"a\":1]",
                           "nul",
                           "null",
                           "nulll",
                           "NULL",
                           "true",
                           "tru",
                           "false",
                           "NaN",
                           "Infinity",
                           "-Infinity",
                           "undefined",
                           "0",
                           "-0",
                           "00",
                           "01",
                           "-01",
                           "-",
                           "+1",
                           "1.",
                           ".1",
                           "1.5",
                           "1.5.5",
                           "1e",
                           "1e+",
                           "1e+5",
                           "1E-5",
                           "1e5.5",
                           "0x10",
                           "1_000",
                           "\"",
                           "\"\"",
                           "\"a",
                           "a\"",
                           "\"\\\"",
                           "\"\\a\"",
                           "\"\\u\"",
                           "\"\\u12\"",
                           "\"\\u123g\"",
                           "\"\\u1234\"",
                           "\"\t\"",
                           "\"\n\"",
                           "\"\x7f\"",
                           "\"\x01\"",
                           "// c\n1",
                           "/**/1",
                           "[1]//",
                           "{\"a\":{\"b\":[{}]}}",
                           "\f1",
                           "\v1",
                           "1 ",
                           " 1",
                           "\n1\n",
                           "\xC2\xA0\x31",
                           "[[[[]]]]",
                           "[[[[]]]",
                           "\"\xC3\xA4\"",
                           "\xC3\xA4"}) {
    expect_agreement(text);
  }
}

TEST(Json, AgreesWithTheOracleOnRandomMutations) {
  std::mt19937 random(20261121);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same run every time
  const std::string_view alphabet = "{}[]\",:\\0123456789eE+-.ntfu \t\nabl\x80\xC3\xE2";
  const auto below = [&random](std::size_t limit) { return random() % limit; };
  for (int round = 0; round < 40000; ++round) {
    std::string text = samples()[below(samples().size())];
    for (std::size_t edits = 1 + below(3); edits > 0 && !text.empty(); --edits) {
      const std::size_t place = below(text.size());
      switch (below(4)) {
        case 0:
          text.erase(place, 1);
          break;
        case 1:
          text.insert(place, 1, alphabet[below(alphabet.size())]);
          break;
        case 2:
          text[place] = alphabet[below(alphabet.size())];
          break;
        default:
          text.insert(place, text.substr(below(text.size()), below(12)));
      }
    }
    ASSERT_NO_FATAL_FAILURE(expect_agreement(text));
  }
}

TEST(Json, RefusesEveryTruncation) {
  for (const std::string& sample : samples()) {
    const std::string text(trim(sample));
    for (std::size_t size = 0; size < text.size(); ++size)
      EXPECT_FALSE(is_json(text.substr(0, size))) << size;
  }
}

TEST(Json, RefusesNul) {
  using namespace std::string_view_literals;
  EXPECT_FALSE(is_json("1\0"sv));
  EXPECT_FALSE(is_json("\0"sv));
  EXPECT_FALSE(is_json("\"\0\""sv));
}

TEST(Json, RefusesAByteOrderMark) {
  EXPECT_FALSE(is_json("\xEF\xBB\xBF{}"));
}

TEST(Json, AcceptsWhatBrowsersReadAndTheOracleDoesNot) {
  EXPECT_TRUE(is_json(R"("\ud800")"));
  EXPECT_TRUE(is_json(R"("\udc00\ud800")"));
  EXPECT_TRUE(is_json("1e999"));
  EXPECT_TRUE(is_json("\"\xFF\""));
}

TEST(Json, ReadsAnyDepth) {
  EXPECT_TRUE(is_json(nested(257)));
  EXPECT_TRUE(is_json(nested(1'000'000)));
  EXPECT_FALSE(is_json(std::string(1'000'000, '[')));
  EXPECT_FALSE(is_json(nested(1000) + ']'));
  std::string objects;
  for (int i = 0; i < 300; ++i) objects += R"({"a":)";
  EXPECT_FALSE(is_json(objects));
  objects += '1' + std::string(300, '}');
  EXPECT_TRUE(is_json(objects));
  const std::string deep = R"({"status":"ready","result":)" + nested(1000) + R"(,"after":1})";
  Members members;
  ASSERT_TRUE(members.read(deep));
  EXPECT_EQ(members.find("result")->raw, nested(1000));
  EXPECT_EQ(members.text_of("status"), "ready");
}

TEST(Json, QuotesEveryByteIntoAValidString) {
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  const std::string quoted = json_quote(every);
  EXPECT_TRUE(is_utf8(quoted));
  EXPECT_FALSE(has_control(quoted));
  EXPECT_EQ(nlohmann::json::parse(quoted).get<std::string>(), to_utf8(every));
}

TEST(Json, AppendsAQuotedString) {
  std::string out = "{";
  append_json_quoted(out, "\n\na\n");
  append_json_quoted(out, "b\xff\"");
  EXPECT_EQ(out, "{\"\\n\\na\\n\"\"b\xEF\xBF\xBD\\\"\"");
}

TEST(Json, QuotesSpecialCharacters) {
  EXPECT_EQ(json_quote(""), R"("")");
  EXPECT_EQ(json_quote("a\"b\\c</script>"), R"("a\"b\\c</script>")");
  EXPECT_EQ(json_quote("a\r\n\tb\x01"), R"("a\r\n\tb\u0001")");
  EXPECT_EQ(json_quote("naïve"), "\"naïve\"");
  EXPECT_EQ(json_quote("a\xFFz"), "\"a\xEF\xBF\xBDz\"");
}

TEST(Json, WritesAnObjectOfNamesAndValues) {
  EXPECT_EQ(json_object({}), "{}");
  EXPECT_EQ(json_object({{"a", "1"}}), R"({"a":1})");
  EXPECT_EQ(json_object({{"a\"", json_quote("b\n")}, {"c", "[null,{}]"}, {"", json_object({})}}),
            R"({"a\"":"b\n","c":[null,{}],"":{}})");
}

TEST(Json, QuotesEachByteAtEachPlace) {
  const std::string plain(20, '~');
  for (std::size_t place = 0; place < plain.size(); ++place) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = plain;
      text[place] = static_cast<char>(byte);
      const std::string alone = json_quote(std::string(1, static_cast<char>(byte)));
      std::string expected = "\"" + plain;
      expected.replace(place + 1, 1, alone, 1, alone.size() - 2);
      ASSERT_EQ(json_quote(text), expected.append("\"")) << byte << " at " << place;
    }
  }
}

TEST(Json, UnquotesEveryQuotedText) {
  std::mt19937 random(7);  // NOLINT(cert-msc32-c,cert-msc51-cpp)
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (std::size_t size = random() % 20; size > 0; --size) bytes += static_cast<char>(random() % 256);
    EXPECT_EQ(json_unquote(json_quote(bytes)), to_utf8(bytes));
  }
}

TEST(Json, UnquotesEveryEscape) {
  EXPECT_EQ(json_unquote(R"("\"\\\/\b\f\n\r\t")"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(json_unquote(R"("\u0041\u00e4\u20AC")"), "Aä€");
  EXPECT_EQ(json_unquote(R"("\ud83d\ude00")"), "😀");
}

TEST(Json, UnquotesLoneSurrogatesToTheReplacementCharacter) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(json_unquote(R"("\ud83dx")"), replacement + "x");
  EXPECT_EQ(json_unquote(R"("\ude00")"), replacement);
  EXPECT_EQ(json_unquote(R"("\ud83d\u0041")"), replacement + "A");
  EXPECT_EQ(json_unquote(R"("\ud83d\ud83d\ude00")"), replacement + "😀");
}

TEST(Json, ParsesAValueOfEveryKind) {
  const auto kind = [](std::string_view text) { return parse_json(text)->kind; };
  EXPECT_EQ(kind("null"), Kind::kNull);
  EXPECT_EQ(kind("true"), Kind::kBoolean);
  EXPECT_EQ(kind("false"), Kind::kBoolean);
  EXPECT_EQ(kind("-1"), Kind::kNumber);
  EXPECT_EQ(kind("\"\""), Kind::kString);
  EXPECT_EQ(kind("[]"), Kind::kArray);
  EXPECT_EQ(kind("{}"), Kind::kObject);
  EXPECT_EQ(parse_json(" \n[ 1 ] ")->raw, "[ 1 ]");
  EXPECT_FALSE(parse_json("x"));
}

TEST(Members, AreSlicesOfTheText) {
  Members members;
  const std::string text =
      R"( { "a" : { "x" : [1, 2] } , "b":"t\u0065xt","c":-1.50,"d":null,"e":[ ],"f":true } )";
  ASSERT_TRUE(members.read(text));
  ASSERT_EQ(members.all().size(), 6U);
  EXPECT_EQ(members.find("a")->raw, R"({ "x" : [1, 2] })");
  EXPECT_EQ(members.find("a")->kind, Kind::kObject);
  EXPECT_EQ(members.find("b")->raw, R"("t\u0065xt")");
  EXPECT_EQ(members.find("b")->text(), "text");
  EXPECT_EQ(members.find("c")->text(), "-1.50");
  EXPECT_EQ(members.find("c")->kind, Kind::kNumber);
  EXPECT_EQ(members.find("d")->kind, Kind::kNull);
  EXPECT_EQ(members.find("e")->raw, "[ ]");
  EXPECT_EQ(members.find("f")->kind, Kind::kBoolean);
  EXPECT_EQ(members.find("x"), nullptr);
}

TEST(Members, TheLastDuplicateWins) {
  Members members;
  ASSERT_TRUE(members.read(R"({"status":"running","status":"ready"})"));
  EXPECT_EQ(members.find("status")->text(), "ready");
}

TEST(Members, AreFoundByTheirUnquotedName) {
  Members members;
  ASSERT_TRUE(members.read("{\"st\\u0061tus\":\"ready\",\"\xFF\":1,\"\":2}"));
  EXPECT_EQ(members.find("status")->text(), "ready");
  EXPECT_EQ(members.find("\xEF\xBF\xBD")->text(), "1");
  EXPECT_EQ(members.find("")->text(), "2");
}

TEST(Members, ExistOnlyInAnObject) {
  Members members;
  for (const char* text :
       {"", "null", "1", "\"a\"", "[]", "[{\"status\":1}]", "{\"status\":1", "{\"status\":1}x"}) {
    EXPECT_FALSE(members.read(text)) << text;
    EXPECT_TRUE(members.all().empty()) << text;
  }
  EXPECT_TRUE(members.read("{}"));
  EXPECT_TRUE(members.all().empty());
}

TEST(Members, AreForgottenByTheNextReading) {
  Members members;
  ASSERT_TRUE(members.read(R"({"a":1})"));
  ASSERT_TRUE(members.read(R"({"b":1})"));
  EXPECT_EQ(members.find("a"), nullptr);
}

TEST(Members, AgreeWithTheOracleOnEverySample) {
  for (const std::string& sample : samples()) {
    const auto expected = nlohmann::json::parse(sample);
    Members members;
    ASSERT_EQ(members.read(sample), expected.is_object());
    for (const auto& member : members.all()) {
      EXPECT_EQ(nlohmann::json::parse(members.find(member.name())->raw), expected.at(member.name()));
    }
  }
}

std::vector<std::string> elements_of(std::string_view array) {
  EXPECT_TRUE(is_json(array)) << array;
  std::vector<std::string> raw;
  for (const JsonValue& element : json_elements(array)) raw.emplace_back(element.raw);
  return raw;
}

TEST(JsonElements, AreTheSlicesBetweenTheOutermostCommas) {
  EXPECT_EQ(elements_of(R"([])"), (std::vector<std::string>{}));
  EXPECT_EQ(elements_of(R"([ ])"), (std::vector<std::string>{}));
  EXPECT_EQ(elements_of(R"([1])"), (std::vector<std::string>{"1"}));
  EXPECT_EQ(elements_of(R"([ "a" , {"b":[1,2]} ,[],null])"),
            (std::vector<std::string>{R"("a")", R"({"b":[1,2]})", "[]", "null"}));
}

TEST(JsonElements, AreNotMisledByBracketsAndQuotesInsideStrings) {
  EXPECT_EQ(elements_of(R"(["],[", "\\", "\\\"", {"}":"{,"}])"),
            (std::vector<std::string>{R"("],[")", R"("\\")", R"("\\\"")", R"({"}":"{,"})"}));
}

TEST(Members, HaveDuplicatesInEverySpelling) {
  Members members;
  ASSERT_TRUE(members.read(R"({"a":1,"b":{"a":2}})"));
  EXPECT_FALSE(members.has_duplicates());
  ASSERT_TRUE(members.read(R"({"a":1,"b":2,"a":1})"));
  EXPECT_TRUE(members.has_duplicates());
  ASSERT_TRUE(members.read(R"({"a":1,"\u0061":1})"));
  EXPECT_TRUE(members.has_duplicates());
}

}  // namespace
}  // namespace tailgate
