// Every key either has an effect where it is set, or is refused there.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "gateway/config/config.h"
#include "gateway/config/options.h"
#include "tests/unit/config/config_cases.h"

namespace tailgate {
namespace {

// One table for each kind of provider, record and route.  The routes "open-…" are for anyone and have no
// record.
constexpr std::string_view kEveryKind = R"(
redis.url = "redis://127.0.0.1"

[provider.secret]
secret = "0123456789abcdef0123456789abcdef"
algorithms = ["HS256"]
[provider.jwks]
jwks = "file:/keys"
algorithms = ["RS256"]
[provider.of-pages]
jwks = "file:/keys"
algorithms = ["RS256"]

[record.hash]
key = "job:{id}"
user = "user_id"
status = "status"
terminal = ["ready"]
[record.http]
kind = "http"
target = "unix:/app.sock"
path = "/status/{id}"
forward = ["Cookie"]
status = "status"
terminal = ["ready"]
[record.without-owner]
key = "job:{id}"

[route.raw]
path = "/raw/{id}"
source = "channel"
key = "job:{id}"
record = "hash"
who = "owner"
providers = ["secret"]
credentials = ["bearer"]
framing = "raw"
ending = [{ data = '{}' }]
[route.named]
path = "/named/{id}"
source = "channel"
key = "job:{id}"
record = "hash"
who = "owner"
providers = ["jwks"]
credentials = ["bearer"]
framing = "named"
name_from = ["event"]
data_from = "data"
ending = [{ data = '{}' }]
[route.log]
path = "/log/{id}"
source = "log"
key = "job:{id}:log"
record = "hash"
who = "owner"
providers = ["secret"]
credentials = ["bearer"]
entry = ["text"]
ending = [{ data = '{}' }]
[route.pages]
path = "/pages/{id}"
source = "pages"
key = "job:{id}:log"
record = "hash"
who = "owner"
providers = ["of-pages"]
credentials = ["bearer"]
entry = ["text"]
[route.asked]
path = "/asked/{id}"
source = "channel"
key = "job:{id}"
record = "http"
who = "owner"
auth = "application"
framing = "named"
name_from = ["event"]
data_from = "data"
ending = [{ data = '{}' }]
[route.open-raw]
path = "/open-raw/{id}"
source = "channel"
key = "job:{id}"
who = "anyone"
framing = "raw"
[route.open-named]
path = "/open-named/{id}"
source = "channel"
key = "job:{id}"
who = "anyone"
framing = "named"
name_from = ["event"]
data_from = "data"
[route.open-log]
path = "/open-log/{id}"
source = "log"
key = "job:{id}:log"
who = "anyone"
entry = ["text"]
[route.open-pages]
path = "/open-pages/{id}"
source = "pages"
key = "job:{id}:log"
who = "anyone"
entry = ["text"]
)";

// The places where a key has an effect: names of tables in kEveryKind, or of the sites below.
constexpr std::string_view kWithRecord = "raw named log pages asked";
constexpr std::string_view kStreamsWithRecord = "raw named log asked";
constexpr std::string_view kVerified = "raw named log pages";
constexpr std::string_view kChannels = "raw named asked open-raw open-named";
constexpr std::string_view kRaw = "raw open-raw";
constexpr std::string_view kNamed = "named asked open-named";
constexpr std::string_view kLines = "log pages open-log open-pages";
constexpr std::string_view kStreams = "raw named log asked open-raw open-named open-log";
constexpr std::string_view kPages = "pages open-pages";
constexpr std::string_view kRoutes = "raw named log pages asked open-raw open-named open-log open-pages";
constexpr std::string_view kProviders = "secret jwks of-pages";
constexpr std::string_view kRecords = "hash http";
constexpr std::string_view kSites = "everything channel pages tcp rediss origins addresses";
// The table cannot do without the key, or needs exactly one of several such keys.
constexpr std::string_view kNeeded = "needed";

struct Effect {
  std::string_view option;
  std::string_view value;   // a TOML value that is valid where the key has an effect
  std::string_view places;  // elsewhere the key is refused
  std::string_view set{};   // the key that is set to `value`, if it is not the option: a table that holds it
  std::string_view also{};  // a further setting, "key=value"
};

constexpr Effect kGlobalEffects[] = {
    {"listen.streams", "'unix:/other'", kSites},
    {"listen.auth", "'unix:/other'", kSites},
    {"listen.ops", "'unix:/other'", kSites},
    {"listen.socket_mode", "'0600'", "everything channel pages rediss origins addresses"},
    {"listen.socket_group", "'www-data'", "everything channel pages rediss origins addresses"},
    {"identity.key_file", "'/key'", kSites},
    {"identity.life_s", "60", "everything tcp rediss origins addresses"},
    {"redis.url", {}, kNeeded},
    {"redis.url_env", {}, kNeeded},
    {"redis.url_file", {}, kNeeded},
    {"redis.tls_leg", "'/leg'", "rediss"},
    {"redis.wakeups", "'sweep'", "everything tcp rediss origins addresses"},
    {"redis.connect_timeout_s", "1", kSites},
    {"redis.probe_every_s", "1", kSites},
    {"redis.wait_s", "1", kSites},
    {"cors.origins", "['https://a.example']", kSites},
    {"cors.allowed_headers", "['x-mine']", "origins"},
    {"limits.streams", "5", "everything channel tcp rediss origins addresses"},
    {"limits.streams_per_user", "5", "everything tcp rediss origins addresses"},
    {"limits.streams_per_address", "5", "everything channel tcp rediss origins addresses"},
    {"limits.memory_mb", "5", kSites},
    {"limits.trusted_proxies", "['10.0.0.0/8']", "addresses"},
    {"limits.address_from", "'forwarded'", "addresses"},
    {"limits.ipv6_prefix", "48", "addresses"},
    {"drain.settle_s", "1", kSites},
    {"drain.deadline_s", "10", kSites},
};

constexpr Effect kTableEffects[] = {
    {"provider.*.secret", {}, kNeeded},
    {"provider.*.secret_env", {}, kNeeded},
    {"provider.*.secret_file", {}, kNeeded},
    {"provider.*.jwks", {}, kNeeded},
    {"provider.*.algorithms", {}, kNeeded},
    {"provider.*.issuer", "'https://i'", kProviders},
    {"provider.*.clerk_publishable_key", "'pk_test_Y2xlcmsuZXhhbXBsZS5jb20k'", kProviders},
    {"provider.*.clerk_publishable_key_env", "'CLERK'", kProviders},
    {"provider.*.audience", "['a']", kProviders},
    {"provider.*.authorized_parties", "['a']", kProviders},
    {"provider.*.required", "['a']", kProviders},
    {"provider.*.subject", "'userId'", kProviders},
    {"provider.*.leeway_s", "1", kProviders},
    {"provider.*.at_expiry", "'end'", "secret jwks"},
    {"provider.*.refresh_s", "60", "jwks of-pages"},
    {"record.*.kind", {}, kNeeded},
    {"record.*.key", "'j:{id}'", "hash"},
    {"record.*.user", "'owner'", "hash"},
    {"record.*.session", "'session'", "hash"},
    {"record.*.target", "'unix:/other'", "http"},
    {"record.*.path", "'/other/{id}'", "http"},
    {"record.*.forward", "['x-a']", "http"},
    {"record.*.timeout_s", "1", "http"},
    {"record.*.status", "'state'", kRecords},
    {"record.*.terminal", "['ready','failed']", kRecords},
    {"record.*.fields.*.from", "'a'", kRecords},
    {"record.*.fields.*.as", "'json'", kRecords},
    {"record.*.fields.*.absent", "0", kRecords},
};

constexpr Effect kRouteEffects[] = {
    {"route.*.path", {}, kNeeded},
    {"route.*.trailing_slash", "true", kRoutes},
    {"route.*.id", "'int'", kRoutes},
    {"route.*.id_chars", "':'", kRoutes},
    {"route.*.source", {}, kNeeded},
    {"route.*.key", {}, kNeeded},
    {"route.*.record", "'without-owner'", "open-raw open-named open-log open-pages"},
    {"route.*.record_grace_ms", "5", kWithRecord},
    {"route.*.end_grace_ms", "5", "log"},
    {"route.*.who", {}, kNeeded},
    {"route.*.auth", "'application'", "asked"},
    {"route.*.providers", "['secret']", kVerified},
    {"route.*.credentials", "['bearer']", kVerified},
    {"route.*.framing", "'entry'", "log open-log"},
    {"route.*.event", "'e'", "raw log open-raw open-log"},
    {"route.*.id_from", "'id'", kRaw},
    {"route.*.only_objects", "true", kRaw},
    {"route.*.name_from", "['type']", kNamed},
    {"route.*.data_from", "'body'", kNamed},
    {"route.*.entry", "['line']", kLines},
    {"route.*.ends_on.field", "{field='s',values=['x']}", kChannels, "ends_on"},
    {"route.*.ends_on.values", "{field='s',values=['x']}", kChannels, "ends_on"},
    {"route.*.ends_on.events", "['x']", kNamed},
    {"route.*.heartbeat.every_s", "5", kStreams},
    {"route.*.heartbeat.when", "'always'", kStreams},
    {"route.*.heartbeat.comment", "'c'", kStreams},
    {"route.*.heartbeat.event", "{event='e',data='{}'}", kStreams, "heartbeat"},
    {"route.*.heartbeat.data", "'{}'", kStreams},
    {"route.*.heartbeat.text", "'t'", kStreams},
    {"route.*.hello[].comment", "[{comment='c'}]", kStreams, "hello"},
    {"route.*.hello[].event", "[{event='e',data='{}'}]", kStreams, "hello"},
    {"route.*.hello[].data", "[{data='{}'}]", kStreams, "hello"},
    {"route.*.hello[].text", "[{text='t'}]", kStreams, "hello"},
    {"route.*.standing[].status", "[{status=['new'],data='{}'}]", kStreamsWithRecord, "standing"},
    {"route.*.standing[].comment", "[{comment='c'}]", kStreamsWithRecord, "standing"},
    {"route.*.standing[].event", "[{event='e',data='{}'}]", kStreamsWithRecord, "standing"},
    {"route.*.standing[].data", "[{data='{}'}]", kStreamsWithRecord, "standing"},
    {"route.*.standing[].text", "[{text='t'}]", kStreamsWithRecord, "standing"},
    {"route.*.ending[].status", "[{status=['ready'],data='{}'}]", kStreamsWithRecord, "ending"},
    {"route.*.ending[].event", "[{event='e',data='{}'}]", kStreamsWithRecord, "ending"},
    {"route.*.ending[].data", "[{data='{}'}]", kStreamsWithRecord, "ending"},
    {"route.*.ending[].text", "[{text='t'}]", kStreamsWithRecord, "ending"},
    {"route.*.retry_ms", "5", kStreams},
    {"route.*.max_age_s", "60", kStreams},
    {"route.*.age_notice.before_s", "{before_s=5,data='{}'}", kStreams, "age_notice", "max_age_s=60"},
    {"route.*.age_notice.comment", "{comment='c'}", kStreams, "age_notice", "max_age_s=60"},
    {"route.*.age_notice.event", "{event='e',data='{}'}", kStreams, "age_notice", "max_age_s=60"},
    {"route.*.age_notice.data", "{data='{}'}", kStreams, "age_notice", "max_age_s=60"},
    {"route.*.age_notice.text", "{text='t'}", kStreams, "age_notice", "max_age_s=60"},
    {"route.*.send_timeout_s", "5", kStreams},
    {"route.*.backlog_bytes", "2048", kStreams},
    {"route.*.on_gap", "'close'", kChannels},
    {"route.*.on_unavailable", "'sse'", kStreams},
    {"route.*.error_body", "'{\"e\":${message}}'", kRoutes},
    {"route.*.not_found", "'gone'", kWithRecord},
    {"route.*.page_default", "5", kPages},
    {"route.*.page_max", "200", kPages},
    {"route.*.page_bytes", "2048", kPages},
};

std::string site(std::string_view name) {
  std::string text(kEveryKind);
  if (name == "channel" || name == "pages") {
    const std::string source = name == "channel" ? "source = \"channel\"\nframing = \"raw\"\n"
                                                 : "source = \"pages\"\nentry = [\"text\"]\n";
    text =
        "redis.url = \"redis://h\"\n[route.only]\npath = \"/only\"\nkey = \"k\"\nwho = \"anyone\"\n" + source;
  }
  if (name == "tcp")
    text += "[listen]\nstreams = \"127.0.0.1:1\"\nauth = \"127.0.0.1:2\"\nops = \"127.0.0.1:3\"\n";
  if (name == "rediss")
    text = with(text, "redis.url = \"redis:", "redis.tls_leg = \"/leg\"\nredis.url = \"rediss:");
  if (name == "origins") text += "[cors]\norigins = [\"https://app.example\"]\n";
  if (name == "addresses") text += "[limits]\nstreams_per_address = 9\n";
  return text;
}

bool holds_word(std::string_view words, std::string_view word) {
  return contains(split(words, ' '), word);
}

// The settings that set the key of `effect` in the table `name`, or in the whole site if the option has no
// "*". The first names the key that a finding names.
Overrides settings_of(const Effect& effect, std::string_view name) {
  const std::string option(effect.option);
  std::string table;
  std::string rest = option;
  if (const std::size_t star = option.find("*."); star != std::string::npos) {
    table = option.substr(0, star) + std::string(name) + '.';
    rest = option.substr(star + 2);
    if (const std::size_t field = rest.find('*'); field != std::string::npos) rest.replace(field, 1, "x");
  }
  if (!effect.set.empty()) rest = effect.set;
  Overrides settings = {{table + rest, std::string(effect.value)}};
  if (const std::size_t equals = effect.also.find('='); equals != std::string_view::npos) {
    settings.emplace_back(table + std::string(effect.also.substr(0, equals)), effect.also.substr(equals + 1));
  }
  return settings;
}

// Sets the key of `effect` in the tables `names` of `text`, all at once.
void expect_effect(const Effect& effect, const std::string& text, std::string_view names) {
  Overrides overrides;
  for (const std::string_view name : split(names, ' ')) {
    for (auto& setting : settings_of(effect, name)) overrides.push_back(std::move(setting));
  }
  const std::string found = findings(text, overrides, {{"CLERK", kClerkKey}});
  for (const std::string_view name : split(names, ' ')) {
    const std::string key = settings_of(effect, name).front().first;
    const std::string table = key.substr(0, key.find(name) + name.size() + 1);
    if (holds_word(effect.places, name)) {
      EXPECT_EQ(found.find(": " + table), std::string::npos) << found;
    } else {
      EXPECT_NE(found.find(": " + key), std::string::npos)
          << effect.option << " is accepted in " << name << ", where it has no effect\n"
          << found;
    }
  }
}

TEST(Effects, AreListedHereForEveryKey) {
  std::multiset<std::string_view> listed;
  for (const Effect& effect : kGlobalEffects) listed.insert(effect.option);
  for (const Effect& effect : kTableEffects) listed.insert(effect.option);
  for (const Effect& effect : kRouteEffects) listed.insert(effect.option);
  std::multiset<std::string_view> known;
  for (const Option& option : options()) known.insert(option.key);
  EXPECT_EQ(listed, known);
}

TEST(Effects, OfAKeyOfTheWholeSiteDependOnWhatTheSiteHas) {
  for (const std::string_view name : split(kSites, ' ')) {
    const std::string text = site(name);
    EXPECT_EQ(findings(text), "") << name;
    for (const Effect& effect : kGlobalEffects) {
      if (effect.places == kNeeded) continue;
      const std::string found = findings(text, settings_of(effect, {}));
      if (holds_word(effect.places, name)) {
        EXPECT_EQ(found, "") << effect.option << " in " << name;
      } else {
        EXPECT_NE(found.find(": " + std::string(effect.option)), std::string::npos)
            << effect.option << " is accepted in the site " << name << ", where it has no effect\n"
            << found;
      }
    }
  }
}

TEST(Effects, OfAKeyOfAProviderOrARecordDependOnItsKind) {
  for (const Effect& effect : kTableEffects) {
    if (effect.places == kNeeded) continue;
    expect_effect(effect, std::string(kEveryKind),
                  effect.option.starts_with("record") ? kRecords : kProviders);
  }
}

TEST(Effects, OfAKeyOfARouteDependOnItsSourceFramingAndAccess) {
  for (const Effect& effect : kRouteEffects) {
    if (effect.places != kNeeded) expect_effect(effect, std::string(kEveryKind), kRoutes);
  }
}

TEST(Effects, OfAValueFromTheEnvironmentAreNotJudged) {
  EXPECT_EQ(findings(kBase, {{"cors.allowed_headers", "['x-a']"}},
                     {{"TAILGATE_CORS_ORIGINS", "https://app.example"}}),
            "");
  EXPECT_EQ(findings(kBase, {{"listen.socket_mode", "'0600'"}},
                     {{"TAILGATE_LISTEN_STREAMS", "127.0.0.1:1"},
                      {"TAILGATE_LISTEN_AUTH", "127.0.0.1:2"},
                      {"TAILGATE_LISTEN_OPS", "127.0.0.1:3"}}),
            "");
  EXPECT_EQ(findings(kBase, {{"redis.tls_leg", "/leg"}}, {{"TAILGATE_REDIS_URL", "redis://h"}}), "");
  EXPECT_EQ(findings(kBase, {{"redis.tls_leg", "/leg"}, {"redis.url_env", "R"}}, {{"R", "redis://h"}}), "");
  EXPECT_EQ(findings(kBase, {}, {{"TAILGATE_REDIS_LEG", "/leg"}}), "");
}

TEST(Effects, AreNotMissedInAnEmptyListOrALimitOfZero) {
  EXPECT_EQ(findings(site("pages"), {{"limits.streams", "0"}, {"limits.trusted_proxies", "[]"}}), "");
}

TEST(Effects, OfProvidersAndRecordsMayComeWithALaterRoute) {
  EXPECT_EQ(findings(std::string(kBase) + "[provider.later]\njwks = \"file:/k\"\nalgorithms = [\"RS256\"]\n"
                                          "at_expiry = \"end\"\n[record.later]\nkey = \"later:{id}\"\n"),
            "");
}

TEST(Effects, OfEndGraceNeedATerminalStatus) {
  EXPECT_NE(
      findings(kEveryKind, {{"route.open-log.record", "without-owner"}, {"route.open-log.end_grace_ms", "5"}})
          .find("route.open-log.end_grace_ms: has no effect: [record.without-owner] has no terminal status"),
      std::string::npos);
}

TEST(Effects, OfACredentialInAHeaderAreMissingIfTheApplicationDecides) {
  for (const char* credential : {"bearer", "cookie:t", "session-header:x-s"}) {
    expect_finding_in(
        with(kEveryKind, "auth = \"application\"",
             "auth = \"application\"\ncredentials = [\"query:token\", \"" + std::string(credential) + "\"]"),
        "route.asked.credentials: \"" + std::string(credential) +
            "\" has no effect with auth = \"application\"; forward of [record.http] names the headers");
  }
  EXPECT_EQ(findings(kEveryKind, {{"route.asked.credentials", "['query:token','session-query:s']"}}), "");
}

TEST(Effects, OfAMessageAreMissingIfEarlierMessagesTakeItsStatuses) {
  const std::string never = "is never sent: an earlier message is sent for each of its statuses";
  const auto set = [](const char* key, const char* value) {
    return findings(kBase, {{"route.events." + std::string(key), value}});
  };
  EXPECT_NE(set("ending", "[{data='{}'},{status=['ready'],data='{}'}]").find("ending[1]: " + never),
            std::string::npos);
  EXPECT_NE(
      set("ending", "[{status=['ready'],data='{}'},{data='{}'},{data='{}'}]").find("ending[2]: " + never),
      std::string::npos);
  EXPECT_NE(
      set("standing", "[{status=['a'],data='{}'},{status=['b'],data='{}'},{status=['b','a'],data='{}'}]")
          .find("standing[2]: " + never),
      std::string::npos);
  EXPECT_EQ(set("standing", "[{status=['a'],data='{}'},{status=['a','b'],data='{}'},{data='{}'}]"), "");
}

TEST(Effects, OfAnEndingNeedATerminalStatus) {
  EXPECT_NE(findings(kBase, {{"record.job.terminal", "[]"}})
                .find("route.events.ending: needs a record with status and terminal"),
            std::string::npos);
}

TEST(Effects, OfAFieldThatIsNamedTwiceAreMissing) {
  expect_finding({{"route.lines.entry", "['a','b','a']"}}, "route.lines.entry: must not hold \"a\" twice");
}

}  // namespace
}  // namespace tailgate
