#include "gateway/config/settings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/config/config_cases.h"

namespace tailgate {
namespace {

using namespace std::chrono_literals;

Settings unchecked(std::string_view text) {
  Settings settings("file.toml");
  EXPECT_TRUE(settings.add_toml(text)) << settings.findings();
  return settings;
}

Settings checked(std::string_view text) {
  Settings settings = unchecked(text);
  settings.check();
  return settings;
}

TEST(Settings, AnErrorInTheTomlHasFileAndLine) {
  Settings settings("file.toml");
  EXPECT_FALSE(settings.add_toml("a = 1\n[b\n"));
  EXPECT_TRUE(settings.findings().starts_with("file.toml:2: TOML: ")) << settings.findings();
}

TEST(Settings, AMisspelledKeyGetsASuggestion) {
  Settings settings = checked("[redis]\nulr = 'redis://h'\n");
  EXPECT_EQ(settings.findings(), "file.toml:2: redis.ulr: is no key that is known; did you mean url?");
  EXPECT_FALSE(settings.has("redis.ulr"));
}

TEST(Settings, AMisspelledKeyIsNotAlsoMissing) {
  Settings settings = checked("[route.r]\nsorce = 'log'\n");
  const std::string findings = settings.findings();
  EXPECT_TRUE(settings.has_error_below("route.r.source"));
  EXPECT_FALSE(settings.require("route.r.source"));
  EXPECT_EQ(settings.findings(), findings);
}

TEST(Settings, AMissingKeyIsReportedWithItsMeaningAtItsTable) {
  Settings settings = checked("\n[route.r]\nsource = 'log'\n");
  EXPECT_TRUE(settings.require("route.r.source"));
  EXPECT_FALSE(settings.require("route.r.who"));
  EXPECT_FALSE(settings.require("route.r.who"));
  EXPECT_EQ(settings.findings(), "file.toml:2: route.r.who: is missing: who may open it");
}

TEST(Settings, AKeyThatIsNotSetHasItsDefault) {
  const Settings settings = checked("");
  EXPECT_EQ(settings.duration("redis.wait_s"), 3s);
  EXPECT_EQ(settings.integer("limits.memory_mb"), 512);
  EXPECT_EQ(settings.text("redis.wakeups"), "auto");
  EXPECT_EQ(settings.texts("cors.origins"), std::vector<std::string>());
  EXPECT_FALSE(settings.boolean("route.r.trailing_slash"));
  EXPECT_FALSE(settings.has("redis.wait_s"));
}

TEST(Settings, ARefusedValueGivesTheDefault) {
  Settings settings = checked("[redis]\nwait_s = 1000\n");
  EXPECT_FALSE(settings.is_sound());
  EXPECT_EQ(settings.duration("redis.wait_s"), 3s);
  settings.add_error("redis.wait_s", "a second rule");
  EXPECT_EQ(settings.findings(), "file.toml:2: redis.wait_s: must be a number of seconds from 0.05 to 60");
}

TEST(Settings, TheKeyNamesTheUnitOfADuration) {
  const Settings settings = checked("[route.r]\nretry_ms = 1500\nmax_age_s = 1.5\n");
  EXPECT_EQ(settings.duration("route.r.retry_ms"), 1500ms);
  EXPECT_EQ(settings.duration("route.r.max_age_s"), 1500ms);
}

TEST(Settings, AnOverrideReplacesAWholeTable) {
  Settings settings = unchecked("[route.r.heartbeat]\nevery_s = 5\ncomment = 'beat'\n");
  settings.replace("route.r.heartbeat", "{ event = 'e', data = '{}' }");
  settings.check();
  EXPECT_EQ(settings.findings(), "");
  EXPECT_FALSE(settings.has("route.r.heartbeat.comment"));
  EXPECT_EQ(settings.duration("route.r.heartbeat.every_s"), 15s);
  EXPECT_EQ(settings.text("route.r.heartbeat.event"), "e");
}

TEST(Settings, AnOverrideRemovesTheOtherKeysOfItsGroup) {
  Settings settings = unchecked("[redis]\nurl = 'redis://h'\nwait_s = 1\n");
  settings.replace("redis.url_env", "R");
  EXPECT_FALSE(settings.has("redis.url"));
  EXPECT_TRUE(settings.has("redis.wait_s"));
  EXPECT_EQ(settings.text("redis.url_env"), "R");
}

TEST(Settings, AnOverrideThatIsNotTomlIsAText) {
  Settings settings = unchecked("");
  settings.replace("listen.ops", "127.0.0.1:80");
  settings.replace("route.r.not_found", "404");
  settings.replace("limits.streams", "404");
  EXPECT_EQ(settings.text("listen.ops"), "127.0.0.1:80");
  EXPECT_EQ(settings.text("route.r.not_found"), "404");
  EXPECT_EQ(settings.integer("limits.streams"), 404);
}

TEST(Settings, AnEnvironmentVariableReplacesAnOverride) {
  Settings settings = unchecked("[listen]\nops = 'file'\n");
  settings.replace("listen.ops", "set");
  settings.replace_from_environment("listen.ops", std::string("variable"), "TAILGATE_LISTEN_OPS");
  EXPECT_EQ(settings.text("listen.ops"), "variable");
  settings.add_error("listen.ops", "is wrong");
  EXPECT_EQ(settings.findings(), "environment TAILGATE_LISTEN_OPS: listen.ops: is wrong");
}

TEST(Settings, AListOfTablesHasASizeAndIndexedKeys) {
  Settings settings = checked("[[route.r.hello]]\ncomment = 'a'\n[[route.r.hello]]\ncomment = 'b'\n");
  EXPECT_EQ(settings.findings(), "");
  EXPECT_EQ(settings.size_of("route.r.hello"), 2U);
  EXPECT_EQ(settings.size_of("route.r.ending"), 0U);
  EXPECT_EQ(settings.text("route.r.hello[1].comment"), "b");
}

TEST(Settings, AnErrorInAListOfTablesHasItsLine) {
  const Settings settings = checked("[[route.r.hello]]\ncomment = 'a'\n[[route.r.hello]]\ncomment = 5\n");
  EXPECT_EQ(settings.findings(), "file.toml:4: route.r.hello[1].comment: must be a text, not an integer");
}

TEST(Settings, NamesHaveTheOrderOfTheFile) {
  const Settings settings = checked("[route.b]\n[route.a]\n[record.c]\n");
  EXPECT_EQ(settings.names_in("route"), (std::vector<std::string>{"b", "a"}));
}

TEST(Settings, AnErrorCountsForTheTablesAboveIt) {
  Settings settings = checked("[route.r]\n[route.r2]\n");
  settings.add_error("route.r.heartbeat.every_s", "is wrong");
  for (const char* key : {"route", "route.r", "route.r.heartbeat", "route.r.heartbeat.every_s"})
    EXPECT_TRUE(settings.has_error_below(key)) << key;
  for (const char* key : {"route.r2", "route.r.heart", "route.r.heartbeat.every_s.x", "record"})
    EXPECT_FALSE(settings.has_error_below(key)) << key;
}

TEST(Settings, ErrorsOfTheFileComeFirstAndInItsOrder) {
  Settings settings = unchecked("[listen]\nops = 'x'\nauth = 'y'\n");
  settings.replace("drain.settle_s", "1");
  settings.add_error("drain.settle_s", "third");
  settings.add_error("listen.auth", "second");
  settings.add_error("listen.ops", "first");
  EXPECT_EQ(settings.findings(),
            "file.toml:2: listen.ops: first\nfile.toml:3: listen.auth: second\n"
            "--set drain.settle_s=1: drain.settle_s: third");
}

TEST(Settings, AnOverrideOfATableThatTheFileLacksIsAFragment) {
  Settings settings = unchecked("[route.r]\n");
  settings.replace("route.q.path", "/q");
  EXPECT_FALSE(settings.is_fragment("route.r", {"path", "key"}));
  EXPECT_FALSE(settings.is_fragment("route.q", {"path"}));
  EXPECT_TRUE(settings.is_fragment("route.q", {"path", "key"}));
  EXPECT_EQ(
      settings.findings(),
      "--set route.q.path=/q: route.q: there is no [route.q] in the file, and a new one needs path and key");
}

TEST(Settings, AScalarBecomesJson) {
  const Settings settings = checked(
      "[record.r.fields]\na = { absent = 'x\"' }\nb = { absent = true }\nc = { absent = 5 }\nd = { absent = "
      "0.1 }\n");
  EXPECT_EQ(settings.json("record.r.fields.a.absent"), R"("x\"")");
  EXPECT_EQ(settings.json("record.r.fields.b.absent"), "true");
  EXPECT_EQ(settings.json("record.r.fields.c.absent"), "5");
  EXPECT_EQ(settings.json("record.r.fields.d.absent"), "0.1");
  EXPECT_EQ(settings.json("record.r.fields.e.absent"), "null");
}

// ---- Findings ----------------------------------------------------------------------------------

TEST(ConfigFindings, HoldFileLineKeyAndRule) {
  std::string text(kBase);
  text.replace(text.find("source = \"log\""), 14, "source = \"lgo\"");
  const std::string found = findings(text);
  EXPECT_NE(found.find("tailgate.toml:32: route.lines.source: must be \"channel\", \"log\" or \"pages\""),
            std::string::npos)
      << found;
}

TEST(ConfigFindings, AreAllReportedAtOnceInTheOrderOfTheFile) {
  std::string text(kBase);
  text.insert(text.find("[provider.p]"), "wakeups = \"often\"\n");
  text += "famring = 1\n";
  const std::string found = findings(text, {{"drain.settle_s", "-1"}});
  const auto lines = split(found, '\n');
  ASSERT_EQ(lines.size(), 3U) << found;
  EXPECT_TRUE(lines[0].starts_with("tailgate.toml:4: redis.wakeups: must be ")) << found;
  EXPECT_TRUE(lines[1].starts_with(
      "tailgate.toml:55: route.named.famring: is no key that is known; did you mean framing?"))
      << found;
  EXPECT_TRUE(lines[2].starts_with(
      "--set drain.settle_s=-1: drain.settle_s: must be a number of seconds from 0 to 3600"))
      << found;
}

// A text that is no configuration at all would have a finding for each line.
TEST(ConfigFindings, NameTheFirstHundredErrorsOfTheFile) {
  const auto with_unknown_tables = [](int count) {
    std::string text(kBase);
    for (int i = 0; i < count; ++i) text += "\n[unknown" + std::to_string(i) + ']';
    return text;
  };
  const std::string all = findings(with_unknown_tables(100));
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 99) << all;
  EXPECT_EQ(all.find("more errors"), std::string::npos);
  const std::string first = findings(with_unknown_tables(101) + "\n[drain]\nsettle_s = -1");
  EXPECT_EQ(std::count(first.begin(), first.end(), '\n'), 100) << first;
  EXPECT_NE(first.find("unknown99:"), std::string::npos) << first;
  EXPECT_EQ(first.find("unknown100:"), std::string::npos) << first;
  EXPECT_EQ(first.find("settle_s"), std::string::npos) << "the name is the first, but the line is the last";
  EXPECT_TRUE(first.ends_with("\nThere are more errors. Correct these first.")) << first;
}

TEST(ConfigFindings, ReportAMissingKeyAtItsTable) {
  const std::string found = findings(without("who = "));
  EXPECT_EQ(found, "tailgate.toml:20: route.events.who: is missing: who may open it");
}

TEST(ConfigFindings, ReportTheLineOfASyntaxError) {
  const std::string found = findings("\n[redis\nurl = 1\n");
  EXPECT_TRUE(found.starts_with("tailgate.toml:2: TOML: ")) << found;
}

TEST(ConfigFindings, SuggestQuotesForATextWithoutThem) {
  const std::string hint = "a text needs quotes around it";
  for (const char* line : {"source = channel", "key = job:{id}:events", "path = /api/jobs/{id}", "kind=hash",
                           "issuer = https://example.com", "source = info"}) {
    const std::string found = findings("\n[route.x]\n" + std::string(line) + "\n");
    EXPECT_TRUE(found.starts_with("tailgate.toml:3: TOML: ")) << found;
    EXPECT_NE(found.find(hint), std::string::npos) << found;
  }
  for (const char* line : {"a = ", "a = [}", "a = \"x", "a = 0x", "[x"}) {
    EXPECT_EQ(findings("\n" + std::string(line) + "\n").find(hint), std::string::npos) << line;
  }
  EXPECT_EQ(findings("secret = hunter2\n").find("hunter2"), std::string::npos);
}

TEST(ConfigFindings, ReportMalformedTomlWithoutAborting) {
  for (const char* text :
       {"[.a]", "a = [}", "a = {b=}", "a.[b]=1", "= 1", "a = \"", "[[a]", "a = 0x", "\x80"}) {
    EXPECT_TRUE(findings(text).starts_with("tailgate.toml:1: TOML: ")) << text;
    EXPECT_NE(findings(kBase, {{"drain.settle_s", text}}), "") << text;
  }
  EXPECT_NE(findings("a = " + std::string(100000, '[')), "");
}

TEST(ConfigFindings, ReportADuplicateKeyAsASyntaxError) {
  EXPECT_TRUE(findings("[redis]\nurl='a'\nurl='b'\n").starts_with("tailgate.toml:3: TOML: "));
}

TEST(ConfigFindings, NameTheInvalidEnvironmentVariable) {
  const std::string found = findings(kBase, {}, {{"TAILGATE_LISTEN_OPS", "nowhere"}});
  EXPECT_EQ(found, "environment TAILGATE_LISTEN_OPS: listen.ops: must be \"unix:/path\" or \"address:port\"");
}

TEST(ConfigFindings, SuggestTheNearestKey) {
  expect_finding({{"route.events.hartbeat.every_s", "1"}},
                 "route.events.hartbeat: is no key that is known; did you mean heartbeat?");
  expect_finding({{"redsi.url", "x"}}, "redsi: is no key that is known; did you mean redis?");
  expect_finding({{"routes.x.path", "/x"}}, "routes: is no key that is known; did you mean route?");
  expect_finding({{"provider.p.sercet_env", "x"}},
                 "provider.p.sercet_env: is no key that is known; did you mean secret_env?");
  expect_finding({{"route.events.hello", "[{evnt='x',data='{}'}]"}},
                 "route.events.hello[0].evnt: is no key that is known; did you mean event?");
  expect_finding({{"redis.entirely_different", "x"}}, "redis.entirely_different: is no key that is known");
}

TEST(ConfigFindings, NeverShowASecret) {
  const Overrides overrides = {{"redis.url", "redis://:hunter2@host:bad"}, {"provider.p.secret", "hunter2"}};
  const std::string found = findings(kBase, overrides, {{"TAILGATE_REDIS_URL", "redis://:hunter2@host:bad"}});
  EXPECT_NE(found.find("environment TAILGATE_REDIS_URL: redis.url: its port"), std::string::npos) << found;
  EXPECT_NE(found.find("--set provider.p.secret=…: provider.p.secret: a shared secret must have"),
            std::string::npos)
      << found;
  EXPECT_EQ(found.find("hunter2"), std::string::npos) << found;
}

TEST(ConfigFindings, TakeOneLineEachWhateverTheInput) {
  const std::string found = findings(kBase, {{"listen.ops", "a\nb"}, {"x\ny", "1"}});
  EXPECT_EQ(split(found, '\n').size(), 2U) << found;
  EXPECT_EQ(split(findings("\"a\\nb\" = 1\n" + std::string(kBase)), '\n').size(), 1U);
}

TEST(ConfigFindings, NameTheExpectedType) {
  expect_finding({{"drain.settle_s", "'5'"}},
                 "drain.settle_s: must be a number of seconds from 0 to 3600, not a text");
  expect_finding({{"cors.origins", "https://a.example.com"}},
                 "cors.origins: must be a list of texts, not a text");
  expect_finding({{"cors.origins", "[1]"}},
                 "cors.origins: must be a list of texts, not a list of something else");
  expect_finding({{"limits.streams", "1.5"}},
                 "limits.streams: must be an integer from 0 to 1000000000, not a float");
  expect_finding({{"route.events.only_objects", "1"}},
                 "route.events.only_objects: must be true or false, not an integer");
  expect_finding({{"route.events.hello", "hi"}}, "route.events.hello: must be a list of tables, not a text");
  expect_finding({{"route.events.hello", "{comment='a'}"}},
                 "route.events.hello: must be a list of tables, not a table");
  expect_finding({{"route.events.heartbeat", "15"}},
                 "route.events.heartbeat: must be a table, not an integer");
  expect_finding({{"route.events.heartbeat", "[{every_s=1}]"}},
                 "route.events.heartbeat: must be a table, not a list of tables");
  expect_finding({{"redis.connect_timeout_s", "2026-01-01"}},
                 "redis.connect_timeout_s: must be a number of seconds from 0.05 to 60, not a date or time");
  expect_finding({{"redis.wakeups", "{a=1}"}},
                 "redis.wakeups: must be \"auto\", \"notifications\" or \"sweep\"");
  std::string text(kBase);
  text.insert(text.find("algorithms"), "audience = 5\n");
  expect_finding_in(text, "provider.p.audience: must be a text or a list of texts, not an integer");
}

TEST(ConfigFindings, RefuseValuesOutOfBounds) {
  for (const char* value : {"-1", "-0.5", "nan", "inf", "3601", "1e300"}) {
    expect_finding({{"drain.settle_s", value}}, "drain.settle_s: must be a number of seconds from 0 to 3600");
  }
  expect_finding({{"identity.life_s", "59"}},
                 "identity.life_s: must be a number of seconds from 60 to 86400");
  expect_finding({{"route.events.heartbeat.every_s", "0"}},
                 "route.events.heartbeat.every_s: must be a number of seconds from 0.05");
  expect_finding({{"route.events.retry_ms", "0"}},
                 "route.events.retry_ms: must be a number of milliseconds from 1 to 600000");
  expect_finding({{"limits.streams", "-1"}}, "limits.streams: must be an integer from 0");
  expect_finding({{"route.pages.page_max", "0"}}, "route.pages.page_max: must be an integer from 1");
}

TEST(ConfigFindings, RefuseEmptyTextsAndControlCharacters) {
  expect_finding({{"route.events.key", "''"}}, "route.events.key: must not be empty");
  expect_finding({{"record.job.terminal", "['ready','']"}}, "record.job.terminal: must not be empty");
  expect_finding({{"route.events.event", "\"a\\nb\""}},
                 "route.events.event: must not hold control characters");
  expect_finding({{"listen.socket_group", "\"a\\u0000\""}},
                 "listen.socket_group: must not hold control characters");
}

TEST(ConfigFindings, RefuseAListThatHoldsATextTwice) {
  expect_finding({{"provider.p.audience", "['a','b','a']"}},
                 "provider.p.audience: must not hold \"a\" twice");
  expect_finding({{"provider.p.secret", "['0123456789abcdef','0123456789abcdef']"}},
                 "provider.p.secret: must not hold a text twice");
}

TEST(ConfigFindings, RefuseADurationThatWouldBeZero) {
  expect_finding({{"route.events.max_age_s", "0.0004"}},
                 "route.events.max_age_s: is less than a millisecond, and would be taken as 0");
}

}  // namespace
}  // namespace tailgate
