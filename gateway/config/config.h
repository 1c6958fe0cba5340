// Config: the one TOML file, read, checked and completed.
//
// Pure.  Knows the option table, the environment's overrides and every rule; opens nothing
// but what the caller hands it.  A Config is immutable and shared: each stream keeps the one it was
// opened under.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/auth/provider.h"
#include "gateway/base/endpoint.h"
#include "gateway/base/result.h"
#include "gateway/redis/rule.h"
#include "gateway/routes/cors.h"
#include "gateway/routes/record.h"
#include "gateway/routes/route.h"

namespace tailgate {

struct Limits {
  std::uint64_t streams = 0;  // in all; 0: no limit
  std::uint64_t streams_per_user = 0;
  std::uint64_t streams_per_address = 0;
  std::vector<std::string> trusted_proxies;  // addresses or CIDR blocks
  std::uint64_t memory_bytes = 0;            // of the heap
};

struct DrainRule {
  std::chrono::milliseconds settle{5000};
  std::chrono::milliseconds deadline{25000};
};

struct Config {
  Config() = default;
  Config(const Config&) = delete;
  Config& operator=(const Config&) = delete;

  Endpoint listen_streams;
  Endpoint listen_auth;
  Endpoint listen_ops;
  std::string socket_group;  // empty: unchanged
  std::uint32_t socket_mode = 0660;

  std::string identity_key_file;
  std::chrono::seconds identity_life{300};

  RedisRule redis;
  Limits limits;
  DrainRule drain;
  CorsRule cors;
  std::vector<std::string> cors_origins;  // as configured, for --print

  ProviderList providers;
  std::vector<std::unique_ptr<RecordRule>> records;
  RouteTable routes;

  const ProviderRule* provider(std::string_view name) const { return find_provider(providers, name); }
};

// What load_config() may ask of the world.  Tests hand in maps.
struct ConfigSources {
  std::function<std::optional<std::string>(const std::string& name)> env;
  std::function<Result<std::string>(const std::string& path)> read_file;
};

// Reads `text`, applies `overrides` ("route.events.heartbeat.every_s" = "0.2", TOML values; a bare
// word is a string) and then the environment's, checks every rule.  An error is one line per finding,
// "file:line: key: rule", as many as there are.
Result<std::shared_ptr<const Config>> load_config(
    std::string_view text, const std::string& file_name,
    const std::vector<std::pair<std::string, std::string>>& overrides, const ConfigSources& sources);

// Every key there is, with a "*" where the user's own name goes: "route.*.path".  For --print keys and
// for the check that each one is documented.
std::vector<std::string> config_keys();

}  // namespace tailgate
