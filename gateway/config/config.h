// Config: the checked configuration, with all defaults filled in.
//
// Pure.  options.cc declares the configuration keys.  load_config() reads files and environment variables
// only through ConfigSources.  A Config is immutable and shared: each stream keeps the Config that it was
// opened under, even after a reload.
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
#include "gateway/routes/client_address.h"
#include "gateway/routes/cors.h"
#include "gateway/routes/limits.h"
#include "gateway/routes/record.h"
#include "gateway/routes/route.h"

namespace tailgate {

struct Limits {
  StreamLimits::Bounds streams;
  ClientAddressRule client_address;
  std::uint64_t memory_bytes = 0;  // of the heap; 0: no limit
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
  std::string socket_group;  // empty: the socket keeps its group
  std::uint32_t socket_mode = 0660;

  std::string identity_key_file;
  std::chrono::milliseconds identity_life{300000};

  RedisRule redis;
  Limits limits;
  DrainRule drain;
  CorsRule cors;

  ProviderList providers;
  std::vector<RecordRule> records;
  std::vector<Route> routes;

  const ProviderRule* provider(std::string_view name) const { return find_provider(providers, name); }
};

// How load_config() reads environment variables and files.
struct ConfigSources {
  std::function<std::optional<std::string>(const std::string& name)> env;
  std::function<Result<std::string>(const std::string& path)> read_file;
};

// Reads the TOML `text`, applies `overrides`, then applies the TAILGATE_* environment variables, and checks
// every rule.  An override is a key and a TOML value; a bare word is a string.  An error holds all findings,
// one per line: "file:line: key: rule".
Result<std::shared_ptr<const Config>> load_config(
    std::string_view text, const std::string& file_name,
    const std::vector<std::pair<std::string, std::string>>& overrides, const ConfigSources& sources);

}  // namespace tailgate
