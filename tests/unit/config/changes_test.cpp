#include "gateway/config/changes.h"

#include "tests/unit/config/config_cases.h"

namespace tailgate {
namespace {

using Keys = std::vector<std::string>;

Keys needed(const Overrides& overrides) {
  return keys_that_need_a_restart(*loaded(), *loaded(overrides));
}

TEST(ConfigChanges, OfMostKeysNeedNoRestart) {
  EXPECT_EQ(needed({}), Keys());
  EXPECT_EQ(needed({{"limits.streams", "5"},
                    {"drain.deadline_s", "20"},
                    {"cors.origins", "['https://a.example']"},
                    {"identity.life_s", "600"},
                    {"identity.key_file", "/elsewhere"},
                    {"redis.wait_s", "1"},
                    {"redis.connect_timeout_s", "1"},
                    {"redis.probe_every_s", "1"},
                    {"route.events.retry_ms", "1"},
                    {"provider.p.leeway_s", "1"}}),
            Keys());
}

TEST(ConfigChanges, OfSocketsAndRedisLinksNeedARestart) {
  EXPECT_EQ(needed({{"listen.streams", "unix:/a"}}), Keys{"listen.streams"});
  EXPECT_EQ(needed({{"listen.auth", "unix:/a"}}), Keys{"listen.auth"});
  EXPECT_EQ(needed({{"listen.ops", "127.0.0.1:1"}}), Keys{"listen.ops"});
  EXPECT_EQ(needed({{"listen.socket_mode", "0600"}}), Keys{"listen.socket_mode"});
  EXPECT_EQ(needed({{"listen.socket_group", "www-data"}}), Keys{"listen.socket_group"});
  for (const char* url :
       {"redis://127.0.0.2", "redis://127.0.0.1:7000", "redis://127.0.0.1/3", "unix:/redis.sock"}) {
    EXPECT_EQ(needed({{"redis.url", url}}), Keys{"redis.url"}) << url;
  }
  EXPECT_EQ(needed({{"redis.wakeups", "sweep"}}), Keys{"redis.wakeups"});
}

TEST(ConfigChanges, OfTheLegOrTheServerBehindItNeedARestart) {
  const auto changed = [](const std::string& url, const std::string& leg) {
    return keys_that_need_a_restart(
        *loaded({{"redis.url", "rediss://one.example:6380"}, {"redis.tls_leg", "/leg"}}),
        *loaded({{"redis.url", url}, {"redis.tls_leg", leg}}));
  };
  EXPECT_EQ(changed("rediss://:p@one.example:6380", "/leg"), Keys());
  EXPECT_EQ(changed("rediss://two.example:6380", "/leg"), Keys{"redis.url"});
  EXPECT_EQ(changed("rediss://one.example:6380", "/other"), Keys{"redis.tls_leg"});
  EXPECT_EQ(changed("rediss://one.example:6380/1", "/leg"), Keys{"redis.url"});
}

TEST(ConfigChanges, OfTheRedisUserAndPasswordNeedNoRestart) {
  for (const char* url : {"redis://u:p@127.0.0.1", "redis://:p@127.0.0.1"}) {
    EXPECT_EQ(needed({{"redis.url", url}}), Keys()) << url;
  }
}

}  // namespace
}  // namespace tailgate
