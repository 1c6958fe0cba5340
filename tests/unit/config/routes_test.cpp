#include <gtest/gtest.h>

#include <string>

#include "gateway/config/config.h"
#include "tests/unit/config/config_cases.h"

namespace tailgate {
namespace {

TEST(ConfigRoute, IsRequired) {
  EXPECT_NE(findings("[redis]\nurl = 'redis://h'\n").find("tailgate.toml:1: route: there is none"),
            std::string::npos);
}

TEST(ConfigRoute, RequiresPathSourceKeyWhoAndFraming) {
  expect_finding_in(without("path = \"/named\""), "route.named.path: is missing");
  expect_finding_in(without("key = \"named\""), "route.named.key: is missing");
  expect_finding_in(without("who = ", 4), "route.named.who: is missing");
  expect_finding_in(without("framing = \"raw\""), "route.events.framing: is missing");
  EXPECT_NE(findings(without("source = ", 4)).find("route.named.source: is missing"), std::string::npos);
}

TEST(ConfigRoute, RefusesAnInvalidPath) {
  for (const char* path : {"x", "/", "/a/", "/a//b", "/{id}/{id}", "/x{id}", "/a b"}) {
    const std::string found = findings(kBase, {{"route.named.path", path}});
    EXPECT_NE(found.find("route.named.path: "), std::string::npos) << path << found;
  }
}

TEST(ConfigRoute, RefusesAChannelThatTailgateItselfUses) {
  for (const char* key : {"__keyspace@0__:x", "__keyspace@0__:{id}", "__keyevent@0__:expired",
                          "__keyevent@{id}", "__redis__:invalidate", "tailgate:control:{id}"}) {
    const std::string found = findings(kBase, {{"route.named.key", key}});
    EXPECT_NE(found.find("route.named.key: must not name a channel of Redis itself or of Tailgate"),
              std::string::npos)
        << key << found;
  }
}

// A route for anyone streamed the private channel of another route.
TEST(ConfigRoute, RefusesAKeyThatCanBeTheKeyOfARouteForOtherCallers) {
  const auto with_keys = [](const char* named, const char* events) {
    return findings(
        kBase,
        {{"route.named.path", "/orgs/{org}/{id}"}, {"route.named.key", named}, {"route.events.key", events}});
  };
  const std::string rule =
      "route.named.key: can be the same as the key of [route.events], which permits other callers: "
      "both can be ";
  EXPECT_NE(with_keys("job-{id}-secret", "job-{id}").find(rule + "\"job-7-secret\""), std::string::npos)
      << with_keys("job-{id}-secret", "job-{id}");
  EXPECT_NE(with_keys("{org}:{id}", "job:{id}").find(rule + "\"job:7\""), std::string::npos);
  EXPECT_EQ(with_keys("job:{id}", "job:{id}"), "") << "written the same way on purpose";
  EXPECT_EQ(with_keys("job:{id}", "job:{id}:events"), "");
  EXPECT_EQ(with_keys("{org}:{id}", "job:{id}:events"), "");
  EXPECT_EQ(with_keys("job:{id}:logs", "job:{id}"), "") << "the log of that name is no channel";
  EXPECT_EQ(findings(kBase, {{"route.named.path", "/orgs/{id}"},
                             {"route.named.key", "job-{id}"},
                             {"route.spare",
                              "{path='/spare',source='channel',key='job-x',who='anyone',framing='raw'}"}}),
            "")
      << "both are for anyone";
  EXPECT_EQ(findings(kBase, {{"record.public", "{key='pub:{id}'}"},
                             {"route.named.path", "/orgs/{id}"},
                             {"route.named.key", "job-{id}"},
                             {"route.spare",
                              "{path='/spare/{id}',source='channel',key='job-{id}-x',record='public',"
                              "who='anyone',framing='raw'}"}}),
            "")
      << "both are for anyone, whatever the record";
}

TEST(ConfigRoute, RefusesANameInATextThatIsSentAsItIs) {
  const std::string rule = ": is sent as it is; only data, text, comment and error_body can hold a ${name}";
  expect_finding({{"route.events.not_found", "Job ${id} not found"}}, "route.events.not_found" + rule);
  expect_finding({{"route.events.event", "job-${id}"}}, "route.events.event" + rule);
  expect_finding({{"route.named.hello", "[{event='job-${route}',data='{}'}]"}},
                 "route.named.hello[0].event" + rule);
}

TEST(ConfigRoute, RefusesAPathThatOverlapsAnotherRoute) {
  expect_finding(
      {{"route.pages.path", "/jobs/{id}/stream"}},
      "route.pages.path: matches the same path as /jobs/{id}/stream of [route.events]; give one of them "
      "another literal segment");
  expect_finding({{"route.named.path", "/jobs/latest/stream"}}, "route.named.path: matches the same path");
}

TEST(ConfigRoute, RefusesAPathFromWhichOnlyTheFormOfAnIdDiffers) {
  EXPECT_NE(findings(kBase, {{"route.pages.path", "/jobs/{id}/stream"}, {"route.pages.id", "int"}})
                .find("matches the same path as /jobs/{id}/stream of [route.events]; nginx does not look at "
                      "the form of "
                      "an id"),
            std::string::npos);
  EXPECT_EQ(findings(kBase, {{"route.events.id", "int"}, {"route.named.path", "/jobs/latest/stream"}}), "");
}

TEST(ConfigRoute, RefusesARecordThatDoesNotExistOrFit) {
  expect_finding({{"route.pages.record", "nobody"}}, "route.pages.record: there is no [record.nobody]");
  EXPECT_NE(findings(kBase, {{"route.named.record", "asked"}})
                .find("route.named.record: needs a named segment in the path"),
            std::string::npos);
  expect_finding({{"route.pages.record_grace_ms", "5"}},
                 "route.pages.record_grace_ms: has no effect without record");
}

TEST(ConfigRoute, RefusesAnUnknownCredential) {
  for (const char* credential : {"Bearer", "token", "query", "query:", "cookie:a b", "header:x", "session:x",
                                 "session-header:", "bearer:x"}) {
    const std::string found =
        findings(kBase, {{"route.events.credentials", "['bearer','" + std::string(credential) + "']"}});
    EXPECT_NE(found.find("route.events.credentials: \"" + std::string(credential) + "\" is none of bearer"),
              std::string::npos)
        << found;
  }
}

TEST(ConfigRoute, RequiresTheFieldsOfALineForALog) {
  expect_finding_in(without("entry = "), "route.lines.entry: is missing: the fields of a line");
  expect_finding_in(without("entry = ", 2), "route.pages.entry: is missing");
  expect_finding({{"route.lines.entry", "['id']"}}, "route.lines.entry: must not hold \"id\"");
}

TEST(ConfigRoute, RequiresNameFromAndDataFromForNamedFraming) {
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

TEST(ConfigRoute, RefusesAMessageThatIsNotOneCommentOrEvent) {
  for (const char* message : {"{}", "{event='e'}", "{comment='c',data='{}'}", "{comment='c',event='e'}",
                              "{data='{}',text='t'}", "{comment='c',text='t'}"}) {
    const std::string found = findings(kBase, {{"route.named.hello", "[" + std::string(message) + "]"}});
    EXPECT_NE(found.find("route.named.hello[0]: must be a comment, or an event with either data or text"),
              std::string::npos)
        << message << found;
  }
}

TEST(ConfigRoute, RefusesAMalformedMessage) {
  expect_finding({{"route.named.hello", "[{data='{'}]"}}, "route.named.hello[0].data: must be JSON");
  expect_finding({{"route.named.hello", "[{data='\"${route}\"'}]"}},
                 "route.named.hello[0].data: must be JSON");
  expect_finding({{"route.named.hello", "[{comment='${nobody}'}]"}},
                 "route.named.hello[0].comment: ${nobody} is no name that is known here");
  expect_finding({{"route.named.hello", "[{comment='${progress}'}]"}}, "${progress} is no name");
  expect_finding({{"route.named.hello", "[{event=\"a\\nb\",data='{}'}]"}},
                 "route.named.hello[0].event: must not hold control characters");
  expect_finding({{"route.named.heartbeat.data", "x"}}, "route.named.heartbeat.data: must be JSON");
}

TEST(ConfigRoute, RefusesStatusMessagesWithoutARecord) {
  expect_finding({{"route.named.standing", "[{data='{}'}]"}},
                 "route.named.standing: needs a record with status and terminal");
  expect_finding({{"route.named.ending", "[{data='{}'}]"}},
                 "route.named.ending: needs a record with status and terminal");
}

TEST(ConfigRoute, RequiresAnEndingForEveryTerminalStatus) {
  expect_finding({{"route.events.ending", "[{status=['ready'],data='{}'}]"}},
                 "route.events.ending: has no message for the terminal status \"failed\"");
  EXPECT_NE(findings(without("ending = "))
                .find("route.events.ending: has no message for the terminal status \"ready\""),
            std::string::npos);
}

TEST(ConfigRoute, RefusesAStatusMessageForTheWrongStatus) {
  expect_finding({{"route.events.ending", "[{data='{}'},{status=['gone'],data='{}'}]"}},
                 "route.events.ending[1].status: \"gone\" is not a terminal status");
  expect_finding({{"route.events.standing", "[{status=['failed'],data='{}'}]"}},
                 "route.events.standing[0].status: \"failed\" is a terminal status");
}

TEST(ConfigRoute, RefusesACommentAsEnding) {
  const std::string found = findings(kBase, {{"route.events.ending", "[{data='{}'},{comment='bye'}]"}});
  EXPECT_NE(found.find("route.events.ending[1].comment: is no key that is known"), std::string::npos)
      << found;
}

TEST(ConfigRoute, RefusesAnErrorBodyThatIsNotJson) {
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

TEST(ConfigRoute, ExplainsHowNamesAndBracesAreWritten) {
  expect_finding({{"route.events.path", "/jobs/{Id}/x"}},
                 "route.events.path: may hold braces only around the name");
  expect_finding({{"route.events.path", "/jobs/{/x"}},
                 "route.events.path: may hold braces only around the name");
  expect_finding({{"route.events.path", "/jobs/x-{id}"}}, "route.events.path: {id} must be a whole segment");
  expect_finding({{"route.events.key", "job:{Id}:events"}}, "route.events.key: {Id} is no name: ");
  expect_finding({{"route.events.key", "job:{id"}},
                 "route.events.key: a \"{\" is not closed; write {{ and }} for braces");
  expect_finding({{"record.job.key", "job:{id}}"}},
                 "record.job.key: a \"}\" closes nothing; write {{ and }} for braces");
  expect_finding({{"record.asked.path", "/jobs/{id}}/status"}},
                 "record.asked.path: a \"}\" closes nothing; write {{ and }} for braces");
}

TEST(ConfigRoute, TakesDoubledBracesForBraces) {
  const auto config = loaded({{"route.events.key", "{{bull}}:job:{id}:events"},
                              {"record.job.key", "job:{{{id}}}"},
                              {"record.asked.path", "/status/{{all}}/{id}"}});
  ASSERT_TRUE(config);
  const Route& events = route_of(*config, "events");
  const Segments segments{.names = events.path.names(), .values = "7"};
  EXPECT_EQ(events.key.expand(segments), "{bull}:job:7:events");
  EXPECT_EQ(events.record->key.expand(segments), "job:{7}");
  EXPECT_EQ(config->records[1].path.expand(segments), "/status/{all}/7");
}

TEST(ConfigRoute, SaysWhatItsIdsLookLike) {
  const auto config =
      loaded({{"route.events.id_chars", ":@"}, {"route.lines.id", "uuid"}, {"route.pages.id", "int"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(route_of(*config, "events").path.match("/jobs/eu:7@x/stream"), "eu:7@x");
  EXPECT_TRUE(route_of(*config, "lines").path.match("/jobs/123e4567-e89b-12d3-a456-426614174000/lines"));
  EXPECT_FALSE(route_of(*config, "lines").path.match("/jobs/7/lines"));
  EXPECT_TRUE(route_of(*config, "pages").path.match("/jobs/7/pages"));
  EXPECT_FALSE(route_of(*config, "pages").path.match("/jobs/x/pages"));
  expect_finding({{"route.events.id", "number"}},
                 "route.events.id: must be \"segment\", \"uuid\" or \"int\"");
  for (const char* chars : {"/", "?", "#", "%", "{", "}", "\\", "'", "\"", "`", " ", "ä"}) {
    const std::string found = findings(kBase, {{"route.events.id_chars", chars}});
    EXPECT_NE(found.find("route.events.id_chars: may hold only printable ASCII characters"),
              std::string::npos)
        << chars << found;
  }
}

TEST(ConfigRoute, MayUseAllNamesOfItsPathInMessages) {
  const auto config = loaded({{"route.events.path", "/orgs/{org}/jobs/{id}/stream"},
                              {"route.events.key", "{org}:{id}"},
                              {"route.events.record", "asked"},
                              {"record.asked.path", "/orgs/{org}/jobs/{id}"},
                              {"route.events.hello", "[{data='[${org},${id}]'}]"},
                              {"route.events.heartbeat.comment", "${org}"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(written(route_of(*config, "events").hello[0], {{"org", "\"acme\""}, {"id", "\"7\""}}),
            "data: [\"acme\",\"7\"]\n\n");
  expect_finding({{"route.events.hello", "[{comment='${org}'}]"}},
                 "route.events.hello[0].comment: ${org} is no name that is known here");
  expect_finding({{"route.named.hello", "[{comment='${id}'}]"}},
                 "route.named.hello[0].comment: ${id} is no name that is known here");
}

TEST(ConfigRoute, RefusesANameThatMeansSomethingElseInMessages) {
  for (const std::string name :
       {"status", "now", "route", "request_id", "connection_id", "max_age_s", "last_id"}) {
    expect_finding({{"route.pages.path", "/x/{" + name + '}'}, {"route.pages.key", '{' + name + '}'}},
                   "route.pages.path: ${" + name + "} has a meaning of its own");
  }
}

TEST(ConfigRoute, DoesNotReportAMisspelledKeyAsMissing) {
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
