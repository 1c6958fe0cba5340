#include <gtest/gtest.h>

#include <string>

#include "gateway/config/config.h"
#include "tests/unit/config/config_cases.h"

namespace tailgate {
namespace {

TEST(ConfigRoute, ThereMustBeOne) {
  EXPECT_NE(findings("[redis]\nurl = 'redis://h'\n").find("tailgate.toml:1: route: there is none"),
            std::string::npos);
}

TEST(ConfigRoute, NeedsPathSourceKeyAndWho) {
  expect_finding_in(without("path = \"/named\""), "route.named.path: is missing");
  expect_finding_in(without("key = \"named\""), "route.named.key: is missing");
  expect_finding_in(without("who = ", 4), "route.named.who: is missing");
  expect_finding_in(without("framing = \"raw\""), "route.events.framing: is missing");
  EXPECT_NE(findings(without("source = ", 4)).find("route.named.source: is missing"), std::string::npos);
}

TEST(ConfigRoute, RefusesABadPath) {
  for (const char* path : {"x", "/", "/a/", "/a//b", "/{id}/{id}", "/x{id}", "/a b"}) {
    const std::string found = findings(kBase, {{"route.named.path", path}});
    EXPECT_NE(found.find("route.named.path: "), std::string::npos) << path << found;
  }
}

TEST(ConfigRoute, RefusesAPathThatAnotherRouteHas) {
  expect_finding({{"route.pages.path", "/jobs/{id}/stream"}},
                 "route.pages.path: matches the same path as that of [route.events]");
  expect_finding({{"route.named.path", "/jobs/latest/stream"}}, "route.named.path: matches the same path");
}

TEST(ConfigRoute, HasAnIdInPathAndKeyOrInNeither) {
  expect_finding({{"route.pages.key", "logs"}}, "route.pages.key: must hold {id} as the path does");
  expect_finding({{"route.named.key", "a:{id}"}}, "route.named.key: holds {id}, but the path does not");
}

TEST(ConfigRoute, NamesARecordThatExistsAndFits) {
  expect_finding({{"route.pages.record", "nobody"}}, "route.pages.record: there is no [record.nobody]");
  EXPECT_NE(
      findings(kBase, {{"route.named.record", "asked"}}).find("route.named.record: needs {id} in the path"),
      std::string::npos);
  expect_finding({{"route.pages.record_grace_ms", "5"}},
                 "route.pages.record_grace_ms: has no effect without record");
}

TEST(ConfigRoute, ForOwnersNeedsARecordWithAnOwner) {
  expect_finding_in(without("record = \"job\""),
                    "tailgate.toml:20: route.events.record: is missing: with who = \"owner\"");
  const std::string found = findings(without("user = "));
  EXPECT_NE(found.find("route.events.record: [record.job] has neither user nor session"), std::string::npos)
      << found;
}

TEST(ConfigRoute, ForOwnersNeedsCredentialsAndProviders) {
  expect_finding_in(without("providers = "), "route.events.providers: is missing");
  EXPECT_NE(findings(without("credentials = ")).find("route.events.credentials: is missing"),
            std::string::npos);
  EXPECT_NE(
      findings(kBase, {{"route.events.credentials", "[]"}}).find("route.events.credentials: is missing"),
      std::string::npos);
  expect_finding({{"route.events.providers", "['q']"}}, "route.events.providers: there is no [provider.q]");
}

TEST(ConfigRoute, RefusesACredentialOfNoKind) {
  for (const char* credential : {"Bearer", "token", "query", "query:", "cookie:a b", "header:x", "session:x",
                                 "session-header:", "bearer:x"}) {
    const std::string found =
        findings(kBase, {{"route.events.credentials", "['bearer','" + std::string(credential) + "']"}});
    EXPECT_NE(found.find("route.events.credentials: \"" + std::string(credential) + "\" is none of bearer"),
              std::string::npos)
        << found;
  }
}

TEST(ConfigRoute, RefusesACredentialThatCanMatchNobody) {
  expect_finding({{"route.events.credentials", "['bearer','session-query:s']"}},
                 "route.events.credentials: holds a session, but [record.job] has no session");
  std::string text = without("user = ");
  EXPECT_NE(findings(text, {{"record.job.session", "s"}}).find("holds a token, but [record.job] has no user"),
            std::string::npos);
  EXPECT_NE(
      findings(kBase, {{"record.job.session", "s"}, {"route.events.credentials", "['session-query:s']"}})
          .find("route.events.providers: has no effect without a credential that is a token"),
      std::string::npos);
}

TEST(ConfigRoute, ForAnyoneLooksAtNoToken) {
  expect_finding({{"route.named.credentials", "['bearer']"}},
                 "route.named.credentials: has no effect with who = \"anyone\"");
  expect_finding({{"route.named.providers", "['p']"}},
                 "route.named.providers: has no effect with who = \"anyone\"");
  expect_finding({{"route.named.auth", "gateway"}}, "route.named.auth: has no effect with who = \"anyone\"");
}

TEST(ConfigRoute, ForAnyoneMustNotShowWhatBelongsToSomebody) {
  expect_finding({{"route.pages.record", "job"}},
                 "route.pages.who: would show to anyone what [record.job] says belongs to somebody");
}

TEST(ConfigRoute, LetsTheApplicationDecideOnlyWhereItIsAsked) {
  EXPECT_NE(findings(kBase, {{"route.events.auth", "application"}})
                .find("route.events.auth: \"application\" needs a record of kind = \"http\""),
            std::string::npos);
  expect_finding({{"route.events.auth", "application"}, {"route.events.record", "asked"}},
                 "route.events.providers: has no effect with auth = \"application\"");
  EXPECT_NE(findings(kBase, {{"route.events.record", "asked"}, {"record.asked.forward", "[]"}})
                .find("[record.asked] forwards no header"),
            std::string::npos);
}

TEST(ConfigRoute, HasTheFramingOfItsSource) {
  expect_finding({{"route.lines.framing", "raw"}},
                 "route.lines.framing: must be \"entry\" with source = \"log\"");
  expect_finding({{"route.events.framing", "entry"}},
                 "route.events.framing: \"entry\" needs source = \"log\"");
  ASSERT_TRUE(loaded({{"route.lines.framing", "entry"}}));
}

TEST(ConfigRoute, OverALogNeedsTheFieldsOfALine) {
  expect_finding_in(without("entry = "), "route.lines.entry: is missing: the fields of a line");
  expect_finding_in(without("entry = ", 2), "route.pages.entry: is missing");
  expect_finding({{"route.lines.entry", "['id']"}}, "route.lines.entry: must not hold \"id\"");
}

TEST(ConfigRoute, WithNamedEventsNeedsNameAndData) {
  expect_finding_in(without("name_from = "), "route.named.name_from: is missing");
  expect_finding_in(without("data_from = "), "route.named.data_from: is missing");
  expect_finding({{"route.events.data_from", "d"}}, "route.events.data_from: needs framing = \"named\"");
  expect_finding({{"route.named.event", "e"}}, "route.named.event: has no effect with framing = \"named\"");
  expect_finding({{"route.named.id_from", "e"}},
                 "route.named.id_from: has no effect with framing = \"named\"");
}

TEST(ConfigRoute, RefusesKeysOfAnotherSource) {
  expect_finding({{"route.pages.heartbeat.every_s", "5"}},
                 "route.pages.heartbeat.every_s: has no effect on a route with source = \"pages\"");
  expect_finding({{"route.lines.on_gap", "close"}},
                 "route.lines.on_gap: has no effect on a route with source = \"log\"");
  expect_finding({{"route.lines.ends_on.field", "x"}},
                 "route.lines.ends_on.field: has no effect on a route with source = \"log\"");
}

TEST(ConfigRoute, EndsOnAFieldOnlyWithValues) {
  expect_finding({{"route.named.ends_on.field", "status"}},
                 "route.named.ends_on.field: needs ends_on.values, or a record");
  expect_finding({{"route.named.ends_on.values", "['x']"}},
                 "route.named.ends_on.values: needs ends_on.field");
  ASSERT_TRUE(loaded({{"route.named.ends_on", "{field='s',values=['x'],events=['e']}"}}));
  expect_finding({{"route.events.ends_on.events", "['x']"}},
                 "route.events.ends_on.events: needs framing = \"named\"");
}

TEST(ConfigRoute, HasMessagesThatAreOneThing) {
  for (const char* message : {"{}", "{event='e'}", "{comment='c',data='{}'}", "{comment='c',event='e'}",
                              "{data='{}',text='t'}", "{comment='c',text='t'}"}) {
    const std::string found = findings(kBase, {{"route.named.hello", "[" + std::string(message) + "]"}});
    EXPECT_NE(found.find("route.named.hello[0]: must be a comment, or an event with either data or text"),
              std::string::npos)
        << message << found;
  }
}

TEST(ConfigRoute, HasMessagesThatAreWellFormed) {
  expect_finding({{"route.named.hello", "[{data='{'}]"}}, "route.named.hello[0].data: must be JSON");
  expect_finding({{"route.named.hello", "[{data='\"${id}\"'}]"}}, "route.named.hello[0].data: must be JSON");
  expect_finding({{"route.named.hello", "[{comment='${nobody}'}]"}},
                 "route.named.hello[0].comment: ${nobody} is no name that is known here");
  expect_finding({{"route.named.hello", "[{comment='${progress}'}]"}}, "${progress} is no name");
  expect_finding({{"route.named.hello", "[{event=\"a\\nb\",data='{}'}]"}},
                 "route.named.hello[0].event: must not hold control characters");
  expect_finding({{"route.named.heartbeat.data", "x"}}, "route.named.heartbeat.data: must be JSON");
}

TEST(ConfigRoute, HasStatusMessagesOnlyWithARecord) {
  expect_finding({{"route.named.standing", "[{data='{}'}]"}},
                 "route.named.standing: needs a record with status and terminal");
  expect_finding({{"route.named.ending", "[{data='{}'}]"}},
                 "route.named.ending: needs a record with status and terminal");
}

TEST(ConfigRoute, HasAnEndingForEveryTerminalStatus) {
  expect_finding({{"route.events.ending", "[{status=['ready'],data='{}'}]"}},
                 "route.events.ending: has no message for the terminal status \"failed\"");
  EXPECT_NE(findings(without("ending = "))
                .find("route.events.ending: has no message for the terminal status \"ready\""),
            std::string::npos);
}

TEST(ConfigRoute, HasStatusMessagesOnlyForStatusesThatFit) {
  expect_finding({{"route.events.ending", "[{data='{}'},{status=['gone'],data='{}'}]"}},
                 "route.events.ending[1].status: \"gone\" is not a terminal status");
  expect_finding({{"route.events.standing", "[{status=['failed'],data='{}'}]"}},
                 "route.events.standing[0].status: \"failed\" is a terminal status");
}

TEST(ConfigRoute, AnEndingIsNoComment) {
  const std::string found = findings(kBase, {{"route.events.ending", "[{data='{}'},{comment='bye'}]"}});
  EXPECT_NE(found.find("route.events.ending[1].comment: is no key that is known"), std::string::npos)
      << found;
}

TEST(ConfigRoute, GivesItsAgeNoticeBeforeTheEnd) {
  expect_finding({{"route.named.age_notice", "{data='{}'}"}},
                 "route.named.age_notice: needs a max_age_s that is longer than its before_s");
  EXPECT_NE(findings(kBase,
                     {{"route.named.max_age_s", "10"}, {"route.named.age_notice", "{before_s=10,data='{}'}"}})
                .find("route.named.age_notice"),
            std::string::npos);
}

TEST(ConfigRoute, HasAnErrorBodyThatIsJson) {
  expect_finding({{"route.named.error_body", "'{\"detail\":\"${message}\"}'"}},
                 "route.named.error_body: must be JSON");
  expect_finding({{"route.named.error_body", "'{\"detail\":${id}}'"}},
                 "route.named.error_body: ${id} is no name that is known here");
  const auto config =
      loaded({{"route.named.error_body", "'{\"s\":${status},\"e\":${error},\"m\":${message}}'"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(route_of(*config, "named")
                .error_body.render_json({{"status", "404"}, {"error", "\"e\""}, {"message", "\"m\""}}),
            R"({"s":404,"e":"e","m":"m"})");
}

TEST(ConfigRoute, HasAPageDefaultWithinTheMaximum) {
  expect_finding({{"route.pages.page_default", "501"}}, "route.pages.page_default: must not exceed page_max");
}

TEST(ConfigRoute, SaysHowAJobsIdIsWritten) {
  expect_finding({{"route.events.path", "/jobs/{job_id}/x"}},
                 "route.events.path: there is no {job_id}: a job's id is written {id}");
  expect_finding({{"route.events.key", "job:{job_id}:events"}},
                 "route.events.key: there is no {job_id}: a job's id is written {id}");
  expect_finding({{"record.job.key", "job:{job_id}"}},
                 "record.job.key: there is no {job_id}: a job's id is written {id}");
  expect_finding({{"route.events.path", "/jobs/{/x"}}, "route.events.path: may hold only letters");
}

TEST(ConfigRoute, OverALogNeedsARecordInRedis) {
  const std::string rule =
      "[record.asked] is kept by the application (kind = \"http\"), which only a route with source = "
      "\"channel\" can ask";
  expect_finding({{"route.lines.record", "asked"}}, "route.lines.record: " + rule);
  expect_finding({{"route.pages.record", "asked"}}, "route.pages.record: " + rule);
  EXPECT_EQ(findings(kBase, {{"route.events.record", "asked"}}), "");
}

// Each of these has one fault.  What only follows from it is not said.
TEST(ConfigRoute, IsNotBlamedForTheFaultOfAnother) {
  const std::vector<std::pair<Overrides, std::string>> faults = {
      {{{"route.lines.source", "lgo"}}, "route.lines.source: must be"},
      {{{"route.pages.source", "page"}}, "route.pages.source: must be"},
      {{{"route.named.framing", "nmed"}}, "route.named.framing: must be"},
      {{{"route.events.record", "another"}}, "route.events.record: there is no [record.another]"},
      {{{"route.events.credentials", "['basic']"}}, "route.events.credentials: \"basic\" is none of"},
      {{{"route.events.ending", "[{data='${state}'}]"}}, "route.events.ending[0].data: ${state} is no name"},
      {{{"record.job.terminal", "ready"}}, "record.job.terminal: must be a list of texts"},
      {{{"provider.p.algorithm", "HS256"}}, "provider.p.algorithm: is no key that is known"},
      {{{"drain.settle_s", "30"}, {"drain.deadline_s", "-1"}}, "drain.deadline_s: must be"},
      {{{"route.events.max_age_s", "-1"}, {"route.events.age_notice", "{data='{}'}"}},
       "route.events.max_age_s: must be"},
  };
  for (const auto& [overrides, expected] : faults) expect_finding(overrides, expected);
  std::string text(kBase);
  text.replace(text.find("user = \"user_id\""), 16, "user = 5");
  expect_finding_in(text, "record.job.user: must be a text");
}

TEST(ConfigRoute, IsNotSaidToLackAKeyThatIsMisspelled) {
  const auto misspelled = [](std::string_view line, std::string_view as) {
    std::string text(kBase);
    text.replace(text.find(line), line.size(), as);
    return text;
  };
  expect_finding_in(misspelled("framing = \"raw\"", "framming = \"raw\""),
                    "framming: is no key that is known");
  expect_finding_in(misspelled("secret = ", "secert = "), "secert: is no key that is known");
  expect_finding_in(misspelled("url = ", "ulr = "), "ulr: is no key that is known");
  expect_finding_in(misspelled("credentials = ", "credential = "), "credential: is no key that is known");
  expect_finding_in(misspelled("record = \"job\"", "recrod = \"job\""), "recrod: is no key that is known");
  expect_finding_in(misspelled("name_from = ", "names_from = "), "names_from: is no key that is known");
}

}  // namespace
}  // namespace tailgate
