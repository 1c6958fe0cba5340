#include "gateway/config/config.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/unit/config/config_cases.h"

namespace tailgate {
namespace {

using namespace std::chrono_literals;

// ---- Reading and defaults ----------------------------------------------------------------------

TEST(Config, HasADefaultForEveryKey) {
  const auto config = loaded();
  ASSERT_TRUE(config);
  EXPECT_EQ(config->listen_streams.unix_path, "/run/tailgate/streams.sock");
  EXPECT_EQ(config->listen_auth.unix_path, "/run/tailgate/auth.sock");
  EXPECT_EQ(config->listen_ops.host, "127.0.0.1");
  EXPECT_EQ(config->listen_ops.port, 9180);
  EXPECT_EQ(config->socket_mode, 0660U);
  EXPECT_EQ(config->socket_group, "");
  EXPECT_EQ(config->identity_key_file, "/run/tailgate/identity.key");
  EXPECT_EQ(config->identity_life, 300s);
  EXPECT_EQ(config->redis.wakeups, "auto");
  EXPECT_EQ(config->redis.connect_timeout, 2s);
  EXPECT_EQ(config->redis.probe_every, 3s);
  EXPECT_EQ(config->redis.wait, 3s);
  EXPECT_EQ(config->limits.streams.streams, 0U);
  EXPECT_EQ(config->drain.settle, 5s);
  EXPECT_EQ(config->drain.deadline, 25s);
  EXPECT_TRUE(config->cors.origins().empty());
  EXPECT_NE(config->cors.allowed_headers().find("last-event-id"), std::string::npos);
}

TEST(Config, HasADefaultForEveryKeyOfARoute) {
  const auto config = loaded();
  ASSERT_TRUE(config);
  const Route& events = route_of(*config, "events");
  EXPECT_EQ(events.heartbeat.every, 15s);
  EXPECT_FALSE(events.heartbeat.always);
  EXPECT_EQ(written(events.heartbeat.message), ": heartbeat\n\n");
  EXPECT_EQ(events.retry, 3s);
  EXPECT_EQ(events.max_age, 0s);
  EXPECT_EQ(events.send_timeout, 30s);
  EXPECT_EQ(events.backlog_bytes, 4194304U);
  EXPECT_EQ(events.on_gap, OnGap::kEvent);
  EXPECT_EQ(events.on_unavailable, OnUnavailable::kAuto);
  EXPECT_EQ(events.auth, AuthBy::kGateway);
  EXPECT_EQ(events.error_body.render_json({{"message", "\"m\""}}), R"({"detail":"m"})");
  EXPECT_EQ(events.not_found, "Job not found");
  EXPECT_FALSE(events.path.trailing_slash());
  EXPECT_EQ(events.record->name, "job");
}

TEST(Config, WaitsTenMinutesForAStalledReaderOfALog) {
  const auto config = loaded();
  ASSERT_TRUE(config);
  EXPECT_EQ(route_of(*config, "lines").send_timeout, 600s);
  EXPECT_EQ(route_of(*config, "lines").framing, Framing::kEntry);
  EXPECT_EQ(route_of(*config, "lines").entry, (std::vector<std::string>{"ts", "text"}));
}

TEST(Config, HasOtherDefaultsForPages) {
  const auto config = loaded();
  ASSERT_TRUE(config);
  const Route& pages = route_of(*config, "pages");
  EXPECT_EQ(pages.source, Source::kPages);
  EXPECT_EQ(pages.page_default, 100);
  EXPECT_EQ(pages.page_max, 500);
  EXPECT_EQ(pages.page_bytes, 8U << 20);
  EXPECT_EQ(pages.on_unavailable, OnUnavailable::kStatus);
  EXPECT_EQ(pages.heartbeat.every, 0s);
}

TEST(Config, KeepsTheRoutesInTheOrderOfTheFile) {
  const auto config = loaded();
  ASSERT_TRUE(config);
  std::vector<std::string> names;
  for (const Route& route : config->routes) names.push_back(route.name);
  EXPECT_EQ(names, (std::vector<std::string>{"events", "lines", "pages", "named"}));
}

TEST(Config, ReadsAProvider) {
  const auto config = loaded({{"provider.p.audience", "one"},
                              {"provider.p.authorized_parties", "['a','b']"},
                              {"provider.p.required", "['exp','sub']"},
                              {"provider.p.subject", "userId"},
                              {"provider.p.leeway_s", "7"},
                              {"provider.p.at_expiry", "end"},
                              {"provider.p.issuer", "https://i"},
                              {"provider.p.algorithms", "['HS256','HS512']"}});
  ASSERT_TRUE(config);
  const ProviderRule& rule = *config->provider("p");
  EXPECT_EQ(rule.secrets, std::vector<std::string>{kSecret});
  EXPECT_EQ(rule.algorithms, (std::vector{Algorithm::kHS256, Algorithm::kHS512}));
  EXPECT_EQ(rule.audience, std::vector<std::string>{"one"});
  EXPECT_EQ(rule.authorized_parties, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(rule.required, (std::vector<std::string>{"exp", "sub"}));
  EXPECT_EQ(rule.subject, "userId");
  EXPECT_EQ(rule.leeway, 7s);
  EXPECT_TRUE(rule.end_at_expiry);
  EXPECT_EQ(rule.issuer, "https://i");
  EXPECT_EQ(config->provider("q"), nullptr);
}

TEST(Config, ReadsARecordsFields) {
  const auto config = loaded({{"record.job.fields.step.from", "current_step"},
                              {"record.job.fields.text.absent", "''"},
                              {"record.job.fields.flag.absent", "true"},
                              {"record.job.fields.ratio.absent", "0.1"},
                              {"record.job.fields.result.as", "json"}});
  ASSERT_TRUE(config);
  std::map<std::string, RecordField> fields;
  for (const RecordField& field : config->records.front().fields) fields[field.name] = field;
  EXPECT_EQ(fields["progress"].from, "progress");
  EXPECT_EQ(fields["progress"].as, RecordField::As::kNumber);
  EXPECT_EQ(fields["progress"].absent, "0");
  EXPECT_EQ(fields["step"].from, "current_step");
  EXPECT_EQ(fields["step"].as, RecordField::As::kText);
  EXPECT_EQ(fields["step"].absent, "null");
  EXPECT_EQ(fields["text"].absent, "\"\"");
  EXPECT_EQ(fields["flag"].absent, "true");
  EXPECT_EQ(fields["ratio"].absent, "0.1");
  EXPECT_EQ(fields["result"].as, RecordField::As::kJson);
}

TEST(Config, ReadsAnHttpRecord) {
  const auto config = loaded();
  ASSERT_TRUE(config);
  const RecordRule& rule = config->records.at(1);
  EXPECT_EQ(rule.kind, RecordRule::Kind::kHttp);
  EXPECT_EQ(rule.target, "unix:/run/app.sock");
  EXPECT_EQ(rule.path.expand({.names = rule.path.names(), .values = "7"}), "/status/7");
  EXPECT_EQ(rule.forward, std::vector<std::string>{"cookie"});
  EXPECT_EQ(rule.timeout, 3s);
}

TEST(Config, KeepsTheOrderOfTheCredentials) {
  const auto config =
      loaded({{"record.job.session", "session_id"},
              {"route.events.credentials",
               "['session-query:sid','cookie:t','bearer','query:token','session-header:X-Session-Id']"}});
  ASSERT_TRUE(config);
  using Kind = Credential::Kind;
  std::vector<std::pair<Kind, std::string>> credentials;
  for (const Credential& each : route_of(*config, "events").credentials)
    credentials.emplace_back(each.kind, each.name);
  EXPECT_EQ(credentials, (std::vector<std::pair<Kind, std::string>>{{Kind::kSessionQuery, "sid"},
                                                                    {Kind::kTokenCookie, "t"},
                                                                    {Kind::kBearer, ""},
                                                                    {Kind::kTokenQuery, "token"},
                                                                    {Kind::kSessionHeader, "x-session-id"}}));
}

TEST(Config, ReadsEveryKindOfMessage) {
  const auto config =
      loaded({{"route.events.hello", "[{comment='ok'},{event='e',data='{\"id\":${id}}'},{text='[DONE]'}]"},
              {"route.events.standing", "[{status=['new'],comment='at ${progress}'},{data='${status}'}]"},
              {"route.events.max_age_s", "60"},
              {"route.events.age_notice", "{before_s=5,event='bye',data='${max_age_s}'}"},
              {"route.events.heartbeat", "{every_s=0.2,when='always',comment='ping ${now}'}"}});
  ASSERT_TRUE(config);
  const Route& events = route_of(*config, "events");
  const Values values{
      {"id", "\"7\""}, {"progress", "5"}, {"status", "\"new\""}, {"max_age_s", "60"}, {"now", "\"t\""}};
  ASSERT_EQ(events.hello.size(), 3U);
  EXPECT_EQ(written(events.hello[0], values), ": ok\n\n");
  EXPECT_EQ(written(events.hello[1], values), "event: e\ndata: {\"id\":\"7\"}\n\n");
  EXPECT_EQ(written(events.hello[2], values), "data: [DONE]\n\n");
  ASSERT_EQ(events.standing.size(), 2U);
  EXPECT_EQ(events.standing[0].statuses, std::vector<std::string>{"new"});
  EXPECT_EQ(written(events.standing[0].message, values), ": at 5\n\n");
  EXPECT_EQ(events.max_age, 60s);
  EXPECT_EQ(events.age_notice_before, 5s);
  EXPECT_EQ(written(*events.age_notice, values), "event: bye\ndata: 60\n\n");
  EXPECT_EQ(events.heartbeat.every, 200ms);
  EXPECT_TRUE(events.heartbeat.always);
  EXPECT_EQ(written(events.heartbeat.message, values), ": ping t\n\n");
}

TEST(Config, EndsAStreamOnTerminalStatusesUnlessOtherValuesAreSet) {
  const auto config = loaded({{"route.events.ends_on.field", "status"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(route_of(*config, "events").ends_on_values, (std::vector<std::string>{"ready", "failed"}));
  const auto other = loaded({{"route.events.ends_on", "{field='status',values=['gone']}"}});
  ASSERT_TRUE(other);
  EXPECT_EQ(route_of(*other, "events").ends_on_values, std::vector<std::string>{"gone"});
}

TEST(Config, ReadsDurationsAsIntegersOrFloats) {
  const auto config = loaded({{"drain.settle_s", "0.25"},
                              {"route.events.retry_ms", "1500.0"},
                              {"route.events.record_grace_ms", "800"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->drain.settle, 250ms);
  EXPECT_EQ(route_of(*config, "events").retry, 1500ms);
  EXPECT_EQ(route_of(*config, "events").record_grace, 800ms);
}

TEST(Config, AllowsTheApplicationToVerifyTheCaller) {
  const auto decided = load(kBase, {{"route.events.record", "asked"},
                                    {"route.events.auth", "application"},
                                    {"route.events.providers", "[]"},
                                    {"route.events.credentials", "['query:token']"},
                                    {"record.asked.terminal", "['ready']"}});
  ASSERT_TRUE(decided) << decided.error();
  EXPECT_EQ(route_of(**decided, "events").auth, AuthBy::kApplication);
}

// ---- Overrides ---------------------------------------------------------------------------------

TEST(ConfigOverrides, AreTomlValuesOrBareWords) {
  const auto config = loaded({{"route.events.heartbeat.every_s", "0.2"},
                              {"listen.ops", "127.0.0.1:9999"},
                              {"listen.auth", "'unix:/a.sock'"},
                              {"limits.streams_per_address", "9"},
                              {"limits.trusted_proxies", "['10.0.0.0/8']"},
                              {"route.events.not_found", "404"},
                              {"route.events.only_objects", "true"},
                              {"provider.p.secret", "1234567890123456"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(route_of(*config, "events").heartbeat.every, 200ms);
  EXPECT_EQ(config->listen_ops.port, 9999);
  EXPECT_EQ(config->listen_auth.unix_path, "/a.sock");
  EXPECT_EQ(config->limits.client_address.trusted_proxies, std::vector{*AddressBlock::parse("10.0.0.0/8")});
  EXPECT_EQ(route_of(*config, "events").not_found, "404");
  EXPECT_TRUE(route_of(*config, "events").only_objects);
  EXPECT_EQ(config->provider("p")->secrets, std::vector<std::string>{"1234567890123456"});
}

TEST(ConfigOverrides, ReplaceWholeTablesAndLists) {
  const auto config = loaded(
      {{"route.events.hello", "[{comment='a'},{comment='b'}]"}, {"route.events.hello", "[{comment='c'}]"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(route_of(*config, "events").hello.size(), 1U);
  const auto none = loaded({{"route.events.hello", "[{comment='a'}]"}, {"route.events.hello", "[]"}});
  ASSERT_TRUE(none);
  EXPECT_TRUE(route_of(*none, "events").hello.empty());
}

TEST(ConfigOverrides, ChangeOneElementOfAList) {
  const auto config = loaded({{"route.events.ending[0].data", "${id}"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(written(route_of(*config, "events").ending[0].message, {{"id", "1"}}), "data: 1\n\n");
}

TEST(ConfigOverrides, AddARoute) {
  const auto config = loaded({{"route.new.path", "/new"},
                              {"route.new.source", "channel"},
                              {"route.new.key", "new"},
                              {"route.new.who", "anyone"},
                              {"route.new.framing", "raw"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(route_of(*config, "new").key.expand({.names = {}, .values = {}}), "new");
}

TEST(ConfigOverrides, AreRefusedForATableThatTheFileLacks) {
  expect_finding(
      {{"route.event.who", "anyone"}},
      "route.event: there is no [route.event] in the file, and a new one needs path, source, key and who");
  expect_finding({{"provider.q.issuer", "i"}},
                 "provider.q: there is no [provider.q] in the file, and a new one needs algorithms");
  expect_finding({{"record.jobs.status", "s"}},
                 "record.jobs: there is no [record.jobs] in the file, and a new one needs key");
  expect_finding({{"route.new.pth", "/new"},
                  {"route.new.source", "channel"},
                  {"route.new.key", "new"},
                  {"route.new.who", "anyone"},
                  {"route.new.framing", "raw"}},
                 "route.new.pth: is no key that is known; did you mean path?");
}

TEST(ConfigOverrides, RemoveMutuallyExclusiveKeys) {
  const auto config =
      loaded({{"redis.url_env", "R"}, {"provider.p.secret_env", "S"}, {"provider.p.issuer", "i"}},
             {{"R", "redis://other:1"}, {"S", kSecret}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->redis.endpoint.host, "other");
}

TEST(ConfigOverrides, TheEnvironmentOverridesTheFileAndSet) {
  const auto config = loaded({{"redis.url", "redis://set"},
                              {"listen.ops", "127.0.0.1:1"},
                              {"cors.origins", "['https://set.example.com']"}},
                             {{"TAILGATE_REDIS_URL", "redis://env"},
                              {"TAILGATE_REDIS_LEG", "/leg.sock"},
                              {"TAILGATE_LISTEN_STREAMS", "unix:/s"},
                              {"TAILGATE_LISTEN_AUTH", "unix:/a"},
                              {"TAILGATE_LISTEN_OPS", "127.0.0.1:2"},
                              {"TAILGATE_IDENTITY_KEY_FILE", "/k"},
                              {"TAILGATE_CORS_ORIGINS", " https://a.example.com  https://*.b.example.com "}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->redis.endpoint.host, "env");
  EXPECT_EQ(config->listen_streams.unix_path, "/s");
  EXPECT_EQ(config->listen_auth.unix_path, "/a");
  EXPECT_EQ(config->listen_ops.port, 2);
  EXPECT_EQ(config->identity_key_file, "/k");
  EXPECT_EQ(config->cors.origins(),
            (std::vector<std::string>{"https://a.example.com", "https://*.b.example.com"}));
  EXPECT_TRUE(config->cors.allows("https://x.b.example.com"));
}

TEST(ConfigOverrides, AnEmptyEnvironmentVariableIsIgnored) {
  const auto config = loaded({}, {{"TAILGATE_REDIS_URL", ""}, {"TAILGATE_CORS_ORIGINS", "  "}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->redis.endpoint.host, "127.0.0.1");
}

TEST(ConfigOverrides, TheEnvironmentsRedisUrlReplacesTheFiles) {
  std::string text(kBase);
  text.replace(text.find("url = "), 25, "url_env = \"NOT_SET\"");
  EXPECT_TRUE(load(text, {}, {{"TAILGATE_REDIS_URL", "redis://env"}}));
  EXPECT_FALSE(load(text));
}

// ---- Rules of each table -----------------------------------------------------------------------

TEST(ConfigListen, RefusesAnInvalidAddress) {
  expect_finding({{"listen.streams", "unix:relative"}},
                 "listen.streams: the path of a unix socket must begin with \"/\"");
  expect_finding({{"listen.streams", "unix:/" + std::string(107, 'x')}},
                 "listen.streams: the path of a unix socket must not exceed 107 bytes");
  expect_finding({{"listen.ops", "127.0.0.1"}}, "listen.ops: must be \"unix:/path\" or \"address:port\"");
  expect_finding({{"listen.ops", ":80"}}, "listen.ops: names no host");
}

TEST(ConfigListen, RequiresThreeDifferentAddresses) {
  expect_finding({{"listen.auth", "unix:/run/tailgate/streams.sock"}},
                 "listen: streams, auth and ops must be three different places");
}

TEST(ConfigListen, ReadsTheSocketModeAsOctal) {
  const auto config = loaded({{"listen.socket_mode", "'0600'"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->socket_mode, 0600U);
  for (const char* mode : {"'0888'", "'rw'", "'1777'", "'0060'", "'0660x'"}) {
    expect_finding({{"listen.socket_mode", mode}}, "listen.socket_mode: must be three octal digits");
  }
}

TEST(ConfigRedis, RequiresExactlyOneUrl) {
  expect_finding_in(without("url = "),
                    "tailgate.toml:2: redis: needs exactly one of url, url_env and url_file");
  std::string text(kBase);
  text.insert(text.find("[provider.p]"), "url_env = \"X\"\n");
  expect_finding_in(text, "redis: needs exactly one of url, url_env and url_file");
}

TEST(ConfigRedis, ReadsTheUrlFromAVariableOrAFile) {
  EXPECT_EQ(loaded({{"redis.url_env", "R"}}, {{"R", "redis://a"}})->redis.endpoint.host, "a");
  EXPECT_EQ(loaded({{"redis.url_file", "/r"}}, {}, {{"/r", "redis://b\n"}})->redis.endpoint.host, "b");
  expect_finding({{"redis.url_env", "R"}}, "redis.url_env: the environment variable R is not set");
  expect_finding({{"redis.url_file", "/r"}}, "redis.url_file: cannot read /r");
  EXPECT_NE(
      findings(kBase, {{"redis.url_env", "R"}}, {{"R", ""}}).find("the environment variable R is empty"),
      std::string::npos);
  EXPECT_NE(findings(kBase, {{"redis.url_file", "/r"}}, {}, {{"/r", "\n"}}).find("the file /r is empty"),
            std::string::npos);
}

TEST(ConfigRedis, RequiresATlsLegForTls) {
  expect_finding({{"redis.url", "rediss://host"}}, "redis.url: rediss:// needs redis.tls_leg");
  const auto config = loaded({{"redis.url", "rediss://u:p@host/3"}, {"redis.tls_leg", "unix:/run/leg.sock"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->redis.endpoint.unix_path, "/run/leg.sock");
  EXPECT_EQ(config->redis.user, "u");
  EXPECT_EQ(config->redis.password, "p");
  EXPECT_EQ(config->redis.database, 3);
}

TEST(ConfigCors, ExplainsHowOriginsAreSeparated) {
  for (const char* text :
       {"https://a.example.com,https://b.example.com", "https://a.example.com, https://b.example.com"}) {
    const std::string found = findings(kBase, {}, {{"TAILGATE_CORS_ORIGINS", text}});
    EXPECT_NE(found.find("holds a comma"), std::string::npos) << found;
    EXPECT_NE(found.find("in TAILGATE_CORS_ORIGINS a space separates them"), std::string::npos) << found;
  }
}

TEST(ConfigCors, RefusesAnInvalidOriginOrHeader) {
  expect_finding({{"cors.origins", "['*']"}}, "cors.origins: origin \"*\": ");
  expect_finding({{"cors.allowed_headers", "['a b']"}},
                 "cors.allowed_headers: an allowed header must be a header's name");
}

// The preflight would say that the header is not allowed, and --check that all is well.
TEST(ConfigCors, RequiresTheSessionHeadersOfTheRoutes) {
  const Overrides visitor = {{"cors.origins", "['https://app.example']"},
                             {"record.job.session", "session_id"},
                             {"route.events.credentials", "['bearer','session-header:X-Visitor']"}};
  expect_finding(
      visitor,
      "cors.allowed_headers: must hold \"x-visitor\", which [route.events] reads; otherwise browsers "
      "refuse to send it");
  Overrides allowed = visitor;
  allowed.emplace_back("cors.allowed_headers", "['X-Visitor']");
  EXPECT_EQ(findings(kBase, allowed), "");
  Overrides same_origin = visitor;
  same_origin.front().second = "[]";
  EXPECT_EQ(findings(kBase, same_origin), "");
}

TEST(ConfigLimits, RefusesAProxyThatIsNeitherAddressNorBlock) {
  ASSERT_TRUE(loaded({{"limits.streams_per_address", "9"},
                      {"limits.trusted_proxies", "['127.0.0.1','10.0.0.0/8','::1','fd00::/8']"}}));
  for (const char* proxy :
       {"localhost", "10.0.0.0/33", "10.0.0/8", "::1/129", "10.0.0.1/", "10.0.0.1/x", "10.0.0.1/-1"}) {
    expect_finding({{"limits.trusted_proxies", "['" + std::string(proxy) + "']"}},
                   "limits.trusted_proxies: \"" + std::string(proxy));
  }
}

TEST(ConfigDrain, RequiresADeadlineAfterTheSettleTime) {
  expect_finding({{"drain.settle_s", "25"}}, "drain.settle_s: must be shorter than drain.deadline_s");
}

// ---- Values that would not do what they say -------------------------------------------------------

TEST(Config, RefusesAProviderWithAnEmptyListOfKeys) {
  for (const std::string key : {"secret", "secret_env", "secret_file", "jwks"}) {
    expect_finding({{"provider.p." + key, "[]"}}, "provider.p." + key + ": must name at least one");
  }
}

TEST(Config, KeepsTheFractionOfEachDuration) {
  const auto config = loaded({{"provider.p.leeway_s", "0.9"}, {"identity.life_s", "60.5"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->providers.front()->leeway, 900ms);
  EXPECT_EQ(config->identity_life, 60500ms);
}

TEST(Config, RefusesAListenerWithAName) {
  expect_finding({{"listen.ops", "localhost:9180"}},
                 "listen.ops: must name a numeric address, as in \"127.0.0.1:9180\"");
}

TEST(Config, RefusesASessionHeaderThatDoesNotArrive) {
  const auto refused = [](const std::string& header, const std::string& why) {
    expect_finding({{"route.events.credentials", "['session-header:" + header + "']"}},
                   "route.events.credentials: \"session-header:" + header + "\": " + why);
  };
  refused("x_session", "nginx drops headers with \"_\" in their names");
  for (const char* header : {"X-Tailgate-Identity", "authorization", "Cookie", "host"})
    refused(header, "this header has another meaning, so it cannot hold a session");
}

TEST(Config, KnowsWhichProvidersARouteNames) {
  const auto config = loaded({{"provider.later", "{secret = '0123456789abcdef', algorithms = ['HS256']}"}});
  ASSERT_TRUE(config);
  EXPECT_TRUE(find_provider(config->providers, "p")->is_named);
  EXPECT_FALSE(find_provider(config->providers, "later")->is_named);
}

}  // namespace
}  // namespace tailgate
