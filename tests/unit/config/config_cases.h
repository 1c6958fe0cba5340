// A valid configuration for the tests of config/, and functions that change it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/text/text.h"

namespace tailgate {

using Overrides = std::vector<std::pair<std::string, std::string>>;
using Map = std::map<std::string, std::string>;

inline constexpr const char* kSecret = "0123456789abcdef0123456789abcdef";
// base64("clerk.example.com$")
inline constexpr const char* kClerkKey = "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k";

// Line 1 is empty.
inline constexpr std::string_view kBase = R"(
[redis]
url = "redis://127.0.0.1"
[provider.p]
secret = "0123456789abcdef0123456789abcdef"
algorithms = ["HS256"]
[record.job]
key = "job:{id}"
user = "user_id"
status = "status"
terminal = ["ready", "failed"]
fields.progress = { as = "number", absent = 0 }
[record.asked]
kind = "http"
target = "unix:/run/app.sock"
path = "/status/{id}"
forward = ["Cookie"]
status = "status"
terminal = ["ready"]
[route.events]
path = "/jobs/{id}/stream"
source = "channel"
key = "job:{id}:events"
record = "job"
who = "owner"
providers = ["p"]
credentials = ["bearer"]
framing = "raw"
ending = [{ data = '{"status":${status}}' }]
[route.lines]
path = "/jobs/{id}/lines"
source = "log"
key = "job:{id}:logs"
record = "job"
who = "owner"
providers = ["p"]
credentials = ["bearer"]
entry = ["ts", "text"]
ending = [{ event = "done", data = '{"status":${status}}' }]
[route.pages]
path = "/jobs/{id}/pages"
source = "pages"
key = "job:{id}:logs"
who = "anyone"
entry = ["ts", "text"]
[route.named]
path = "/named"
source = "channel"
key = "named"
who = "anyone"
framing = "named"
name_from = ["event"]
data_from = "data"
)";

inline Result<std::shared_ptr<const Config>> load(std::string_view text, const Overrides& overrides = {},
                                                  const Map& env = {}, const Map& files = {}) {
  const ConfigSources sources{.env = [&env](const std::string& name) -> std::optional<std::string> {
                                const auto found = env.find(name);
                                if (found == env.end()) return std::nullopt;
                                return found->second;
                              },
                              .read_file = [&files](const std::string& path) -> Result<std::string> {
                                const auto found = files.find(path);
                                if (found == files.end()) return Error{"cannot read " + path};
                                return found->second;
                              }};
  return load_config(text, "tailgate.toml", overrides, sources);
}

inline std::shared_ptr<const Config> loaded(const Overrides& overrides = {}, const Map& env = {},
                                            const Map& files = {}) {
  auto config = load(kBase, overrides, env, files);
  if (config) return *config;
  ADD_FAILURE() << config.error();
  return nullptr;
}

inline const Route& route_of(const Config& config, std::string_view name) {
  const auto& routes = config.routes;
  return *std::find_if(routes.begin(), routes.end(),
                       [name](const Route& route) { return route.name == name; });
}

inline std::string findings(std::string_view text, const Overrides& overrides = {}, const Map& env = {},
                            const Map& files = {}) {
  const auto config = load(text, overrides, env, files);
  return config ? "" : config.error();
}

// kBase without the `nth` line that begins with `line`.
inline std::string without(std::string_view line, int nth = 1) {
  std::string text;
  for (const std::string_view each : split(kBase, '\n')) {
    if (each.starts_with(line) && --nth == 0) continue;
    text += std::string(each) + '\n';
  }
  return text;
}

// `text` with its first `old` replaced.
inline std::string with(std::string_view text, std::string_view old, std::string_view replacement) {
  std::string changed(text);
  return changed.replace(changed.find(old), old.size(), replacement);
}

// Expects kBase with `overrides` to have exactly one finding, which begins with `expected` after its origin.
inline void expect_finding(const Overrides& overrides, const std::string& expected) {
  const std::string found = findings(kBase, overrides);
  EXPECT_NE((found + '\n').find(": " + expected), std::string::npos)
      << "expected: " << expected << "\nfound: " << found;
  EXPECT_EQ(std::count(found.begin(), found.end(), '\n'), 0) << found;
}

// Expects `text` to have exactly one finding, which holds `expected`.
inline void expect_finding_in(const std::string& text, const std::string& expected) {
  const std::string found = findings(text);
  EXPECT_NE(found.find(expected), std::string::npos) << "expected: " << expected << "\nfound: " << found;
  EXPECT_EQ(std::count(found.begin(), found.end(), '\n'), 0) << found;
}

inline std::string written(const Message& message, const Values& values = {}) {
  std::string out;
  message.append_to(out, values);
  return out;
}

}  // namespace tailgate
