#include "gateway/redis/rule.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/config/config_cases.h"

namespace tailgate {
namespace {

TEST(RedisUrl, MayBeShortOrFull) {
  const auto brief = parse_redis_url("redis://host", "");
  EXPECT_EQ(brief->endpoint.host, "host");
  EXPECT_EQ(brief->endpoint.port, 6379);
  EXPECT_EQ(brief->user, "");
  EXPECT_EQ(brief->password, "");
  EXPECT_EQ(brief->database, 0);
  const auto full = parse_redis_url("redis://us%40er:p%3A%2Fw%40%25@host:7000/15", "");
  EXPECT_EQ(full->endpoint.host, "host");
  EXPECT_EQ(full->endpoint.port, 7000);
  EXPECT_EQ(full->user, "us@er");
  EXPECT_EQ(full->password, "p:/w@%");
  EXPECT_EQ(full->database, 15);
  EXPECT_EQ(parse_redis_url("redis://:secret@host/", "")->password, "secret");
  EXPECT_EQ(parse_redis_url("redis://user@host", "")->user, "user");
  EXPECT_EQ(parse_redis_url("redis://host?db=3", "")->database, 3);
}

TEST(RedisUrl, MayNameAnIpv6Address) {
  const auto rule = parse_redis_url("redis://:p@[fd00::1]:7000/1", "");
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->endpoint.host, "fd00::1");
  EXPECT_EQ(rule->endpoint.port, 7000);
  EXPECT_EQ(parse_redis_url("redis://[::1]", "")->endpoint.port, 6379);
}

TEST(RedisUrl, MayNameAUnixSocket) {
  EXPECT_EQ(parse_redis_url("unix:/run/r.sock", "")->endpoint.unix_path, "/run/r.sock");
  const auto rule = parse_redis_url("unix:///run/r.sock?db=2&username=u&password=p%26q", "");
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->endpoint.unix_path, "/run/r.sock");
  EXPECT_EQ(rule->database, 2);
  EXPECT_EQ(rule->user, "u");
  EXPECT_EQ(rule->password, "p&q");
  EXPECT_EQ(parse_redis_url("unix://:p@/run/r.sock", "")->password, "p");
}

TEST(RedisUrl, IgnoresParametersOfOtherClients) {
  EXPECT_TRUE(parse_redis_url("rediss://host?ssl_cert_reqs=none&family=6", "/leg"));
}

TEST(RedisUrl, IsRefusedIfItSaysAThingTwice) {
  const auto error = [](const char* url) {
    const auto rule = parse_redis_url(url, "");
    return rule ? "none" : rule.error();
  };
  EXPECT_EQ(error("redis://h/1?db=2"), "it names its database twice: in its path and in its query");
  EXPECT_EQ(error("redis://h?db=1&db=2"), "its query has the same name twice");
  const std::string twice = "it names its user or its password twice: before the \"@\" and in its query";
  EXPECT_EQ(error("redis://u:p@h?password=q"), twice);
  EXPECT_EQ(error("redis://u@h?username=v"), twice);
  const auto both = parse_redis_url("redis://u@h?password=q", "");
  ASSERT_TRUE(both);
  EXPECT_EQ(both->user + both->password, "uq");
}

TEST(RedisUrl, IsNotQuotedWhenItIsRefused) {
  for (const char* url :
       {"", "host", "http://hunter2", "redis://", "redis://:hunter2@", "redis://:hunter2@:6379",
        "redis://:hunter2@host:0", "redis://:hunter2@host:x", "redis://:hunter2@host/x",
        "redis://:hunter2@host/-1", "redis://:hunter2@host/1/2", "redis://:hunter2%@host",
        "redis://:hunter2@host?bd=1", "redis://:hunter2@ho st", "redis://:hunter2@[::1",
        "redis://:hunter2@::1:6379", "unix:hunter2", "unix://hunter2", "rediss://:hunter2@host"}) {
    const auto rule = parse_redis_url(url, "");
    ASSERT_FALSE(rule) << url;
    EXPECT_EQ(rule.error().find("hunter2"), std::string::npos) << rule.error();
  }
  EXPECT_FALSE(parse_redis_url("rediss://host", "relative.sock"));
}

}  // namespace
}  // namespace tailgate
