#include "gateway/config/options.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

#include "gateway/config/config.h"
#include "tests/unit/config/config_cases.h"

namespace tailgate {
namespace {

std::string read_deploy(const std::string& name) {
  const std::string here = __FILE__;
  std::ifstream file(here.substr(0, here.rfind("tests/unit/")) + "deploy/" + name);
  EXPECT_TRUE(file) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ShippedConfig, Loads) {
  const Map env = {{"REDIS_URL", "redis://h"}, {"JWT_SECRET", kSecret}, {"CLERK_PUBLISHABLE_KEY", kClerkKey}};
  for (const char* name : {"builder.toml", "spools.toml", "blog.toml", "blog-application.toml",
                           "all-three.toml", "reference.toml"}) {
    EXPECT_EQ(findings(read_deploy(name), {}, env), "") << name;
  }
}

TEST(ShippedConfig, NeedsOnlyTheVariablesThatItNames) {
  EXPECT_EQ(findings(read_deploy("spools.toml"), {}, {{"REDIS_URL", "redis://h"}}), "");
  EXPECT_EQ(findings(read_deploy("blog-application.toml"), {}, {{"REDIS_URL", "redis://h"}}), "");
  EXPECT_EQ(findings(read_deploy("blog.toml"), {}, {{"REDIS_URL", "redis://h"}, {"JWT_SECRET", kSecret}}),
            "");
  EXPECT_EQ(findings(read_deploy("builder.toml"), {},
                     {{"REDIS_URL", "redis://h"}, {"CLERK_PUBLISHABLE_KEY", kClerkKey}}),
            "");
}

TEST(ShippedConfig, WritesTheOpeningMessagesOfBlog) {
  const Map env = {{"REDIS_URL", "redis://h"}, {"JWT_SECRET", kSecret}};
  const auto config = load(read_deploy("blog.toml"), {}, env);
  ASSERT_TRUE(config) << config.error();
  const Route& job = route_of(**config, "job");
  const Values values{{"id", "\"7\""},   {"connection_id", "\"u\""}, {"max_age_s", "600"},
                      {"progress", "0"}, {"currentStep", "null"},    {"estimatedTimeRemaining", "null"}};
  EXPECT_EQ(written(job.hello[0], values), ": ok\n\n");
  EXPECT_EQ(written(job.hello[1], values),
            "event: connected\ndata: {\"connectionId\":\"u\",\"jobId\":\"7\",\"maxAgeSeconds\":600,"
            "\"hint\":\"If the stream ends before the job does, poll the status endpoint\"}\n\n");
  EXPECT_EQ(written(job.standing[0].message, values),
            "event: progress-update\ndata: "
            "{\"progress\":0,\"currentStep\":null,\"estimatedTimeRemaining\":null}\n\n");
}

// The keys and values of a reference: lines "key = value" or "# key = value" below a table's header.  "*"
// stands for a name that the user chooses.
std::map<std::string, std::string> documented(const std::string& text) {
  std::map<std::string, std::string> keys;
  std::string table;
  for (std::string_view line : split(text, '\n')) {
    if (line.starts_with("# ")) line.remove_prefix(2);
    const bool is_list = line.starts_with("[[");
    if (line.starts_with('[') && line.find('=') == std::string_view::npos && line.ends_with(']')) {
      table = line.substr(is_list ? 2 : 1, line.size() - (is_list ? 4 : 2));
      if (is_list) table += "[0]";
      continue;
    }
    const std::size_t equals = line.find(" = ");
    if (equals == std::string_view::npos || table.empty()) continue;
    const std::string key = table + '.' + std::string(line.substr(0, equals));
    if (const Option* option = find_option(key)) keys.emplace(option->key, line.substr(equals + 3));
  }
  return keys;
}

TEST(Reference, DocumentsEveryKey) {
  const auto keys = documented(read_deploy("reference.toml"));
  for (const Option& option : options()) EXPECT_TRUE(keys.count(std::string(option.key))) << option.key;
}

TEST(Reference, ShowsTheDefaults) {
  // The defaults of these keys (such as "" or []) would explain nothing, so the reference shows examples.
  const std::set<std::string_view> shown_in_use = {
      "record.*.user",           "record.*.session",         "record.*.forward",
      "record.*.status",         "record.*.terminal",        "record.*.fields.*.as",
      "route.*.providers",       "route.*.credentials",      "route.*.name_from",
      "route.*.data_from",       "route.*.ends_on.events",   "route.*.entry",
      "route.*.ends_on.field",   "route.*.ends_on.values",   "route.*.heartbeat.event",
      "route.*.hello[].event",   "route.*.standing[].event", "route.*.ending[].event",
      "route.*.age_notice.event"};
  const auto keys = documented(read_deploy("reference.toml"));
  for (const Option& option : options()) {
    if (option.fallback.empty() || shown_in_use.count(option.key) > 0) continue;
    const auto found = keys.find(std::string(option.key));
    if (found == keys.end()) continue;
    EXPECT_EQ(found->second, option.fallback) << option.key;
  }
}

// tests/e2e/auth/test_reload.py finds these options by the ends of their keys, and demands a test for each.
TEST(Options, ThatNameAFileOrAVariableSaySoInTheirKey) {
  for (const Option& option : options()) {
    const bool names_file = option.what.find("the file ") != std::string_view::npos;
    const bool names_variable = option.what.find("environment variable") != std::string_view::npos;
    EXPECT_EQ(names_file, option.key.ends_with("_file")) << option.key;
    EXPECT_EQ(names_variable, option.key.ends_with("_env")) << option.key;
  }
}

TEST(Options, AreFoundByTheirKeys) {
  for (const Option& option : options()) {
    std::string key(option.key);
    for (std::size_t star = key.find('*'); star != std::string::npos; star = key.find('*'))
      key.replace(star, 1, "x");
    if (const std::size_t list = key.find("[]"); list != std::string::npos) key.insert(list + 1, "0");
    EXPECT_EQ(find_option(key), &option) << key;
    EXPECT_FALSE(option.what.empty()) << key;
    EXPECT_FALSE(option.rule().empty()) << key;
  }
}

}  // namespace
}  // namespace tailgate
