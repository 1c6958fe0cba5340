#include <gtest/gtest.h>

#include <string>

#include "gateway/config/config.h"
#include "tests/unit/config/config_cases.h"

namespace tailgate {
namespace {

TEST(ConfigRecord, RequiresAKeyWithAnId) {
  expect_finding_in(without("key = \"job:{id}\""), "tailgate.toml:7: record.job.key: is missing");
  expect_finding({{"record.job.key", "jobs"}}, "record.job.key: must hold {id}");
  expect_finding({{"record.job.key", "job:{{id}}"}}, "record.job.key: must hold {id}");
  EXPECT_NE(findings(kBase, {{"record.job.key", "job:{{job_id}}"}})
                .find("so a value in braces is written as in {{{id}}}"),
            std::string::npos);
}

TEST(ConfigRecord, RequiresTargetAndPathIfItsKindIsHttp) {
  expect_finding_in(without("target = "), "record.asked.target: is missing");
  expect_finding({{"record.asked.target", "nowhere"}},
                 "record.asked.target: must be \"unix:/path\" or \"address:port\"");
  expect_finding({{"record.asked.path", "/status"}}, "record.asked.path: must hold {id}");
  expect_finding({{"record.asked.path", "status/{id}"}}, "record.asked.path: must begin with \"/\"");
}

// Every request for such a path was a 503.
TEST(ConfigRecord, RefusesAPathThatNoRequestLineCanHold) {
  for (const char* path : {"/status/{id} HTTP", "/status#{id}", "/état/{id}", "/status/%zz/{id}",
                           "/status/%2{id}", "/status/%{id}", "/status/{id}%", "/status/\"{id}\"",
                           "/status\\{id}", "/status/<{id}>", "/status/{id}|x", "/status/[{id}]"}) {
    expect_finding(
        {{"record.asked.path", path}},
        "record.asked.path: may hold only the characters of a URL's path and query; percent-encode others");
  }
  for (const char* path : {"/%C3%A9tat/{id}", "/s;v=1/{id}/x?a=b&c=~d,'(e)*!$:@+", "/status/{{x}}/{id}"}) {
    EXPECT_EQ(findings(kBase, {{"record.asked.path", path}}), "") << path;
  }
}

TEST(ConfigRecord, RefusesToForwardHeadersOfTheConnection) {
  for (const char* header :
       {"Host", "connection", "Transfer-Encoding", "content-length", "X-Tailgate-Identity", "a b", "a:b"}) {
    expect_finding({{"record.asked.forward", "['" + std::string(header) + "']"}}, "record.asked.forward: ");
  }
}

TEST(ConfigRecord, RefusesKeysOfTheOtherKind) {
  expect_finding({{"record.job.target", "h:1"}},
                 "record.job.target: has no effect on a record of kind = \"hash\"");
  expect_finding({{"record.job.timeout_s", "1"}}, "record.job.timeout_s: has no effect");
  expect_finding({{"record.asked.user", "u"}},
                 "record.asked.user: has no effect on a record of kind = \"http\"");
}

TEST(ConfigRecord, RefusesAForwardedHeaderThatIsNamedTwiceOrDoesNotArrive) {
  expect_finding({{"record.asked.forward", "['cookie','Cookie']"}},
                 "record.asked.forward: names cookie twice");
  expect_finding({{"record.asked.forward", "['x_a']"}}, "record.asked.forward: x_a does not arrive: nginx");
  expect_finding({{"record.asked.forward", "['Accept']"}},
                 "record.asked.forward: accept is not the caller's to set");
}

TEST(ConfigRecord, HasOneErrorIfItsKindIsUnknown) {
  expect_finding({{"record.asked.kind", "https"}}, "record.asked.kind: must be ");
  expect_finding_in(with(kBase, "kind = ", "knid = "), "did you mean kind?");
}

TEST(ConfigRecord, ExplainsThatATargetCannotSpeakTls) {
  expect_finding(
      {{"record.asked.target", "https://app.example.com"}},
      "record.asked.target: the gateway speaks no TLS; name the unix socket of the nginx leg that does");
  expect_finding({{"record.asked.target", "http://app.example.com"}},
                 "record.asked.target: must be \"unix:/path\" or \"address:port\", without a scheme");
}

TEST(ConfigRecord, RequiresBothStatusAndTerminalOrNeither) {
  expect_finding_in(without("status = ", 2), "record.asked: status and terminal go together");
  expect_finding_in(without("terminal = ", 2), "record.asked: status and terminal go together");
}

TEST(ConfigRecord, RefusesAFieldWithAReservedName) {
  for (const char* name :
       {"id", "status", "now", "route", "request_id", "connection_id", "max_age_s", "last_id"}) {
    expect_finding({{"record.job.fields." + std::string(name) + ".from", "x"}},
                   "${" + std::string(name) + "} has a meaning of its own");
  }
}

TEST(ConfigRecord, RefusesInvalidNames) {
  expect_finding({{"record.Job.key", "{id}"}},
                 "record.Job: a name is 1 to 40 lower-case letters, digits and -");
  expect_finding({{"route.a_b.path", "/x"}}, "route.a_b: a name is 1 to 40");
  expect_finding({{"provider." + std::string(41, 'x') + ".secret", "x"}},
                 "provider." + std::string(41, 'x') + ": a name is 1 to 40");
  expect_finding({{"record.job.fields.a-b.from", "x"}},
                 "record.job.fields.a-b: a field's name is 1 to 40 letters, digits and _");
  EXPECT_NE(findings("[route.\"a.b\"]\npath='/x'\n" + std::string(kBase)).find("a name is 1 to 40"),
            std::string::npos);
}

}  // namespace
}  // namespace tailgate
