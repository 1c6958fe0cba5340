#include <gtest/gtest.h>

#include <string>

#include "gateway/config/config.h"
#include "tests/unit/config/config_cases.h"

namespace tailgate {
namespace {

TEST(ConfigRouteRules, RequireTheIdInBothPathAndKeyOrInNeither) {
  expect_finding({{"route.pages.key", "logs"}}, "route.pages.key: must hold {id} as the path does");
  expect_finding({{"route.named.key", "a:{id}"}},
                 "route.named.key: holds {id}, but the path /named has no {name}; write {id} as a segment "
                 "of the path, or {{id}} for braces");
}

std::string findings_of_key(const char* key) {
  return findings(kBase, {{"route.pages.path", "/orgs/{org}/jobs/{id}"}, {"route.pages.key", key}});
}

void expect_in(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(ConfigRouteRules, RequireTheLastNameOfThePathInTheKey) {
  EXPECT_EQ(findings_of_key("{org}:{id}"), "");
  EXPECT_EQ(findings_of_key("job:{id}"), "");
  expect_in(findings_of_key("job:{org}"),
            "route.pages.key: must hold {id} as the path does, or requests that differ only in {id} would "
            "share one");
  expect_in(findings_of_key("job:{org}:{{id}}"), "so a value in braces is written as in {{{id}}}");
  expect_in(
      findings_of_key("{bull}:{org}:{id}"),
      "route.pages.key: holds {bull}, but the path /orgs/{org}/jobs/{id} has {org} and {id}; write {{bull}} "
      "for braces");
}

// Otherwise org "a-b" with job "c" would have the key of org "a" with job "b-c".
TEST(ConfigRouteRules, RefuseTwoNamesThatOnlyACharacterOfIdsSeparates) {
  for (const char* key : {"{org}{id}", "{org}-{id}", "job:{id}.x_{org}", "{org}:{id}a{org}"}) {
    expect_in(findings_of_key(key), "cannot hold; otherwise two jobs could share one");
  }
  for (const char* key : {"{org}:{id}", "{org}-:-{id}", "{id}{id}", "{org}/{id}/{org}", "{{{org}}}{id}"}) {
    EXPECT_EQ(findings_of_key(key), "") << key;
  }
  EXPECT_EQ(findings(kBase, {{"route.pages.path", "/orgs/{org}/jobs/{id}"},
                             {"route.pages.key", "org:{org}:{id}"},
                             {"route.pages.id_chars", ":"}}),
            "");
  for (const char* key : {"{id}-{org}", "{org}{id}"}) {
    EXPECT_EQ(findings(kBase, {{"route.pages.path", "/orgs/{org}/jobs/{id}"},
                               {"route.pages.key", key},
                               {"route.pages.id", "uuid"}}),
              "")
        << "all UUIDs have one length";
  }
}

TEST(ConfigRouteRules, RequireTheNamesOfTheRecordInTheKey) {
  const auto with_keys = [](const char* key, const char* record) {
    return findings(kBase, {{"route.events.path", "/orgs/{org}/jobs/{id}"},
                            {"route.events.key", key},
                            {"route.events.record", "asked"},
                            {"record.asked.path", record}});
  };
  EXPECT_EQ(with_keys("{org}:{id}", "/{org}/{id}"), "");
  EXPECT_EQ(with_keys("{org}:{id}", "/{org}"), "");
  expect_in(with_keys("job:{id}", "/{org}/{id}"),
            "route.events.key: must hold {org} as [record.asked] does; otherwise the record of one job would "
            "permit another job's data");
  expect_in(with_keys("{org}:{id}", "/{org}{id}"), "route.events.record: [record.asked] needs a character");
  expect_finding(
      {{"record.asked.path", "/{job}"}, {"route.events.record", "asked"}},
      "route.events.record: [record.asked] holds {job} in its path, but this path has {id}; all routes "
      "of a record need its names");
}

// If each organisation numbers its own jobs, the owner of one job 7 would get the data of all jobs 7.
TEST(ConfigRouteRules, RefuseAKeyThatHoldsAnEarlierNameThanItsRecord) {
  const auto with = [](const char* path, const char* key, const char* record) {
    return findings(kBase, {{"route.events.path", path},
                            {"route.events.key", key},
                            {"route.events.record", "asked"},
                            {"record.asked.path", record}});
  };
  expect_in(
      with("/orgs/{org}/jobs/{id}", "{org}:{id}", "/{id}"),
      "route.events.key: holds {org}, but [record.asked] does not, so the record of one job would permit the "
      "data of this job with any other {org}; let the record hold {org}, or take it out of the key");
  EXPECT_EQ(with("/orgs/{org}/jobs/{id}", "{org}:{id}", "/{org}/{id}"), "");
  EXPECT_EQ(with("/orgs/{org}/jobs/{id}", "job:{id}", "/{id}"), "");
  EXPECT_EQ(with("/jobs/{id}/parts/{part}", "{id}:{part}", "/{id}"), "") << "a record of the whole";
}

TEST(ConfigRouteRules, RefuseAnIdsFormWithoutAnId) {
  expect_finding({{"route.named.id", "int"}}, "route.named.id: has no effect without {id} in the path");
  expect_finding({{"route.named.id_chars", ":"}},
                 "route.named.id_chars: has no effect without {id} in the path");
  expect_finding({{"route.events.id", "uuid"}, {"route.events.id_chars", ":"}},
                 "route.events.id_chars: needs id = \"segment\"");
}

TEST(ConfigRouteRules, RefuseANameThatIsAFieldOfTheRecord) {
  const Overrides clash = {{"route.events.path", "/of/{progress}/{id}"},
                           {"route.events.key", "{progress}:{id}"},
                           {"route.events.record", "asked"},
                           {"record.asked.path", "/{progress}/{id}"},
                           {"record.asked.fields.progress.as", "number"}};
  expect_finding(clash,
                 "route.events.path: ${progress} would be both a segment and a field of [record.asked]");
}

TEST(ConfigRouteRules, RequireARecordWithAnOwnerForOwners) {
  expect_finding_in(without("record = \"job\""),
                    "tailgate.toml:20: route.events.record: is missing: with who = \"owner\"");
  const std::string found = findings(without("user = "));
  EXPECT_NE(found.find("route.events.record: [record.job] has neither user nor session"), std::string::npos)
      << found;
}

TEST(ConfigRouteRules, RequireCredentialsAndProvidersForOwners) {
  expect_finding_in(without("providers = "), "route.events.providers: is missing");
  EXPECT_NE(findings(without("credentials = ")).find("route.events.credentials: is missing"),
            std::string::npos);
  EXPECT_NE(
      findings(kBase, {{"route.events.credentials", "[]"}}).find("route.events.credentials: is missing"),
      std::string::npos);
  expect_finding({{"route.events.providers", "['q']"}}, "route.events.providers: there is no [provider.q]");
}

TEST(ConfigRouteRules, RefuseACredentialThatCannotMatchTheRecord) {
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

TEST(ConfigRouteRules, RefuseKeysThatVerifyACallerForAnyone) {
  expect_finding({{"route.named.credentials", "['bearer']"}},
                 "route.named.credentials: has no effect with who = \"anyone\"");
  expect_finding({{"route.named.providers", "['p']"}},
                 "route.named.providers: has no effect with who = \"anyone\"");
  expect_finding({{"route.named.auth", "gateway"}}, "route.named.auth: has no effect with who = \"anyone\"");
}

TEST(ConfigRouteRules, RefuseARecordWithAnOwnerForAnyone) {
  expect_finding({{"route.pages.record", "job"}},
                 "route.pages.who: would show to anyone what [record.job] says belongs to somebody");
}

TEST(ConfigRouteRules, RequireAnHttpRecordForApplicationAuth) {
  EXPECT_NE(findings(kBase, {{"route.events.auth", "application"}})
                .find("route.events.auth: \"application\" needs a record of kind = \"http\""),
            std::string::npos);
  expect_finding({{"route.events.auth", "application"},
                  {"route.events.record", "asked"},
                  {"route.events.credentials", "['query:t']"}},
                 "route.events.providers: has no effect with auth = \"application\"");
  EXPECT_NE(findings(kBase, {{"route.events.record", "asked"}, {"record.asked.forward", "[]"}})
                .find("[record.asked] forwards no header"),
            std::string::npos);
}

TEST(ConfigRouteRules, RefuseAFramingOfAnotherSource) {
  expect_finding({{"route.lines.framing", "raw"}},
                 "route.lines.framing: must be \"entry\" with source = \"log\"");
  expect_finding({{"route.events.framing", "entry"}},
                 "route.events.framing: \"entry\" needs source = \"log\"");
  ASSERT_TRUE(loaded({{"route.lines.framing", "entry"}}));
}

TEST(ConfigRouteRules, RequireValuesForTheFieldThatEndsAStream) {
  expect_finding({{"route.named.ends_on.field", "status"}},
                 "route.named.ends_on.field: needs ends_on.values, or a record");
  expect_finding({{"route.named.ends_on.values", "['x']"}},
                 "route.named.ends_on.values: needs ends_on.field");
  ASSERT_TRUE(loaded({{"route.named.ends_on", "{field='s',values=['x'],events=['e']}"}}));
  expect_finding({{"route.events.ends_on.events", "['x']"}},
                 "route.events.ends_on.events: needs framing = \"named\"");
}

TEST(ConfigRouteRules, RequireAMaximumAgeLongerThanTheNotice) {
  expect_finding({{"route.named.age_notice", "{data='{}'}"}},
                 "route.named.age_notice: needs a max_age_s that is longer than its before_s");
  EXPECT_NE(findings(kBase,
                     {{"route.named.max_age_s", "10"}, {"route.named.age_notice", "{before_s=10,data='{}'}"}})
                .find("route.named.age_notice"),
            std::string::npos);
}

TEST(ConfigRouteRules, RefuseAPageDefaultAboveTheMaximum) {
  expect_finding({{"route.pages.page_default", "501"}}, "route.pages.page_default: must not exceed page_max");
}

TEST(ConfigRouteRules, RequireARecordInRedisForALog) {
  const std::string rule =
      "[record.asked] is kept by the application (kind = \"http\"), which only a route with source = "
      "\"channel\" can ask";
  expect_finding({{"route.lines.record", "asked"}}, "route.lines.record: " + rule);
  expect_finding({{"route.pages.record", "asked"}}, "route.pages.record: " + rule);
  EXPECT_EQ(findings(kBase, {{"route.events.record", "asked"}}), "");
}

// Each case has one error that would break other rules, too.
TEST(ConfigRouteRules, ReportAnErrorWithoutItsConsequences) {
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
      {{{"route.events.path", "/jobs/:id/stream"}},
       "route.events.key: holds {id}, but the path /jobs/:id/stream has no {name}; write {id} as a segment"},
      {{{"route.events.key", "job:{{id}}"}}, "route.events.key: must hold {id} as the path does"},
      {{{"route.events.key", "job:{job_id}"}}, "route.events.key: holds {job_id}, but the path"},
      {{{"route.events.path", "/jobs/{job_id}"}, {"route.events.key", "job:{job_id}"}},
       "route.events.record: [record.job] holds {id} in its key, but this path has {job_id}"},
  };
  for (const auto& [overrides, expected] : faults) expect_finding(overrides, expected);
  std::string text(kBase);
  text.replace(text.find("user = \"user_id\""), 16, "user = 5");
  expect_finding_in(text, "record.job.user: must be a text");
}

// These two errors would break five more rules.
TEST(ConfigRouteRules, AreSkippedAfterAnErrorInTheRoute) {
  const Overrides overrides = {{"route.events.retry_ms", "0"},     {"route.events.record", "nobody"},
                               {"route.events.credentials", "[]"}, {"route.events.data_from", "d"},
                               {"route.events.key", "events"},     {"route.events.ending", "[]"}};
  EXPECT_EQ(
      findings(kBase, overrides),
      "--set route.events.retry_ms=0: route.events.retry_ms: must be a number of milliseconds from 1 to "
      "600000\n--set route.events.record=nobody: route.events.record: there is no [record.nobody]");
}

TEST(ConfigRouteRules, AreSkippedAfterAnErrorInTheRecordButNotInOtherRoutes) {
  const Overrides overrides = {{"record.job.terminal", "ready"},
                               {"route.events.credentials", "[]"},
                               {"route.named.record_grace_ms", "5"}};
  EXPECT_EQ(findings(kBase, overrides),
            "--set record.job.terminal=ready: record.job.terminal: must be a list of texts, not a text\n"
            "--set route.named.record_grace_ms=5: route.named.record_grace_ms: has no effect without record");
}

}  // namespace
}  // namespace tailgate
