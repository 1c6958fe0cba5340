#include "gateway/config/config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

#include "gateway/config/parts.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

struct Variable {
  const char* name;
  std::string_view key;
};

// These override the file and --set.
constexpr std::array<Variable, 7> kVariables = {{
    {"TAILGATE_LISTEN_STREAMS", "listen.streams"},
    {"TAILGATE_LISTEN_AUTH", "listen.auth"},
    {"TAILGATE_LISTEN_OPS", "listen.ops"},
    {"TAILGATE_REDIS_URL", "redis.url"},
    {"TAILGATE_REDIS_LEG", "redis.tls_leg"},
    {"TAILGATE_IDENTITY_KEY_FILE", "identity.key_file"},
    {"TAILGATE_CORS_ORIGINS", "cors.origins"},
}};

void apply_environment(Settings& settings, const ConfigSources& sources) {
  for (const Variable& variable : kVariables) {
    const auto value = sources.env(variable.name);
    if (!value || value->empty()) continue;
    if (variable.key != "cors.origins") {
      settings.replace_from_environment(variable.key, *value, variable.name);
      continue;
    }
    std::vector<std::string> origins;
    for (const std::string_view origin : split(*value, ' ')) {
      if (!origin.empty()) origins.emplace_back(origin);
    }
    settings.replace_from_environment(variable.key, origins, variable.name);
  }
}

void read_listen(Settings& settings, Config& config) {
  const auto read = [&settings](const char* key, Endpoint& endpoint) {
    Result<Endpoint> parsed = parse_endpoint(settings.text(key));
    if (parsed) {
      endpoint = std::move(*parsed);
    } else {
      settings.add_error(key, parsed.error());
    }
  };
  read("listen.streams", config.listen_streams);
  read("listen.auth", config.listen_auth);
  read("listen.ops", config.listen_ops);
  if (!settings.has_error_below("listen") &&
      (settings.text("listen.streams") == settings.text("listen.auth") ||
       settings.text("listen.streams") == settings.text("listen.ops") ||
       settings.text("listen.auth") == settings.text("listen.ops"))) {
    settings.add_error("listen", "streams, auth and ops must be three different places");
  }
  config.socket_group = settings.text("listen.socket_group");
  const std::string mode = settings.text("listen.socket_mode");
  const char* end = mode.data() + mode.size();
  const auto [stop, error] = std::from_chars(mode.data(), end, config.socket_mode, 8);
  if (error != std::errc() || stop != end || config.socket_mode > 0777 ||
      (config.socket_mode & 0600) != 0600) {
    settings.add_error("listen.socket_mode",
                       "must be three octal digits that let the owner read and write, as in \"0660\"");
  }
}

void read_cors(Settings& settings, Config& config) {
  const auto origins = settings.texts("cors.origins");
  Result<CorsRule> rule = CorsRule::make(origins, settings.texts("cors.allowed_headers"));
  if (rule) {
    config.cors = std::move(*rule);
  } else if (const auto origins_only = CorsRule::make(origins, {}); !origins_only) {
    settings.add_error("cors.origins", origins_only.error());
  } else {
    settings.add_error("cors.allowed_headers", rule.error());
  }
}

void read_limits(Settings& settings, Config& config) {
  const auto count = [&settings](const char* key) {
    return static_cast<std::uint64_t>(settings.integer(key));
  };
  config.limits.streams = {.streams = count("limits.streams"),
                           .per_user = count("limits.streams_per_user"),
                           .per_address = count("limits.streams_per_address")};
  config.limits.memory_bytes = count("limits.memory_mb") << 20U;
  for (const std::string& proxy : settings.texts("limits.trusted_proxies")) {
    if (const auto block = AddressBlock::parse(proxy)) {
      config.limits.trusted_proxies.push_back(*block);
    } else {
      settings.add_error("limits.trusted_proxies",
                         '"' + proxy + "\" is neither an address nor a block like 10.0.0.0/8");
    }
  }
}

void read_identity(Settings& settings, Config& config) {
  config.identity_key_file = settings.text("identity.key_file");
  config.identity_life = std::chrono::floor<std::chrono::seconds>(settings.duration("identity.life_s"));
}

void read_drain(Settings& settings, Config& config) {
  config.drain.settle = settings.duration("drain.settle_s");
  config.drain.deadline = settings.duration("drain.deadline_s");
  if (!settings.has_error_below("drain") && config.drain.settle >= config.drain.deadline)
    settings.add_error("drain.settle_s", "must be shorter than drain.deadline_s");
}

}  // namespace

void read_redis(Settings& settings, const ConfigSources& sources, Config& config) {
  std::vector<std::string> keys;
  for (const char* key : {"redis.url", "redis.url_env", "redis.url_file"}) {
    if (settings.has(key)) keys.emplace_back(key);
  }
  if (keys.empty() && settings.has_error_below("redis")) return;
  if (keys.size() != 1) return settings.add_error("redis", "needs exactly one of url, url_env and url_file");
  const std::string& key = keys.front();
  std::optional<std::string> url = settings.text(key);
  if (key == "redis.url_env") url = read_variable(settings, key, *url, sources);
  if (key == "redis.url_file") url = read_secret_file(settings, key, *url, sources);
  if (!url) return;
  Result<RedisRule> rule = parse_redis_url(trim(*url), settings.text("redis.tls_leg"));
  if (!rule) return settings.add_error(key, rule.error());
  config.redis = std::move(*rule);
  config.redis.wakeups = settings.text("redis.wakeups");
  config.redis.connect_timeout = settings.duration("redis.connect_timeout_s");
  config.redis.probe_every = settings.duration("redis.probe_every_s");
  config.redis.wait = settings.duration("redis.wait_s");
}

std::optional<std::string> read_variable(Settings& settings, std::string_view key, const std::string& name,
                                         const ConfigSources& sources) {
  if (name.empty()) return std::nullopt;  // check() has added a finding
  auto value = sources.env(name);
  if (value && !value->empty()) return value;
  settings.add_error(key, "the environment variable " + name + (value ? " is empty" : " is not set"));
  return std::nullopt;
}

std::optional<std::string> read_secret_file(Settings& settings, std::string_view key, const std::string& path,
                                            const ConfigSources& sources) {
  if (path.empty()) return std::nullopt;  // check() has added a finding
  Result<std::string> text = sources.read_file(path);
  if (!text) {
    settings.add_error(key, text.error());
    return std::nullopt;
  }
  while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
  if (!text->empty()) return std::move(*text);
  settings.add_error(key, "the file " + path + " is empty");
  return std::nullopt;
}

Result<std::shared_ptr<const Config>> load_config(
    std::string_view text, const std::string& file_name,
    const std::vector<std::pair<std::string, std::string>>& overrides, const ConfigSources& sources) {
  Settings settings(file_name);
  if (!settings.add_toml(text)) return Error{settings.findings()};
  for (const auto& [key, value] : overrides) settings.replace(key, value);
  apply_environment(settings, sources);
  settings.check();

  auto config = std::make_shared<Config>();
  read_listen(settings, *config);
  read_redis(settings, sources, *config);
  read_cors(settings, *config);
  read_limits(settings, *config);
  read_identity(settings, *config);
  read_drain(settings, *config);
  read_providers(settings, sources, *config);
  read_records(settings, *config);
  read_routes(settings, *config);
  if (!settings.is_sound()) return Error{settings.findings()};
  return std::shared_ptr<const Config>(std::move(config));
}

std::vector<std::string> config_keys() {
  std::vector<std::string> keys;
  for (const Option& option : options()) keys.emplace_back(option.key);
  return keys;
}

}  // namespace tailgate
