#include "gateway/config/config.h"

#include <algorithm>
#include <array>
#include <set>

#include "gateway/config/parts.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// The environment variables that override keys from the file and --set.
constexpr std::array<std::pair<const char*, std::string_view>, 7> kVariables = {{
    {"TAILGATE_LISTEN_STREAMS", "listen.streams"},
    {"TAILGATE_LISTEN_AUTH", "listen.auth"},
    {"TAILGATE_LISTEN_OPS", "listen.ops"},
    {"TAILGATE_REDIS_URL", "redis.url"},
    {"TAILGATE_REDIS_LEG", "redis.tls_leg"},
    {"TAILGATE_IDENTITY_KEY_FILE", "identity.key_file"},
    {"TAILGATE_CORS_ORIGINS", "cors.origins"},
}};

void apply_environment(Settings& settings, const ConfigSources& sources) {
  for (const auto& [name, key] : kVariables) {
    const auto text = sources.env(name);
    if (!text || trim(*text).empty()) continue;
    Setting::Value value = *text;
    if (key == "cors.origins") {
      auto origins = split(*text, ' ');
      std::erase(origins, "");
      value = std::vector<std::string>(origins.begin(), origins.end());
    }
    settings.replace_from_environment(key, std::move(value), name);
  }
}

void read_listen(const Section& table, Config& config) {
  const auto read = [&table](const char* key, Endpoint& endpoint) {
    auto parsed = table.checked(key, parse_endpoint(table.text(key)));
    if (!parsed) return;
    if (parsed->unix_path.empty() && !AddressBlock::parse(parsed->host))
      table.add_error(key, "must name a numeric address, as in \"127.0.0.1:9180\"");
    endpoint = std::move(*parsed);
  };
  read("streams", config.listen_streams);
  read("auth", config.listen_auth);
  read("ops", config.listen_ops);
  const std::set places = {table.text("streams"), table.text("auth"), table.text("ops")};
  if (!table.has_error() && places.size() < 3)
    table.add_error("streams, auth and ops must be three different places");
  config.socket_group = table.text("socket_group");
  config.socket_mode = parse_number<std::uint32_t>(table.text("socket_mode"), 8).value_or(0);
  if (config.socket_mode > 0777 || (config.socket_mode & 0600) != 0600) {
    table.add_error("socket_mode",
                    "must be three octal digits that let the owner read and write, as in \"0660\"");
  }
}

void read_redis(const Section& table, const ConfigSources& sources, Config& config) {
  const auto keys = table.present({"url", "url_env", "url_file"});
  if (keys.empty() && table.has_error()) return;
  if (keys.size() != 1) return table.add_error("needs exactly one of url, url_env and url_file");
  const auto url = resolve(table, keys.front(), table.text(keys.front()), sources);
  if (!url) return;
  auto rule = table.checked(keys.front(), parse_redis_url(trim(*url), table.text("tls_leg")));
  if (!rule) return;
  config.redis = std::move(*rule);
  config.redis.wakeups = table.text("wakeups");
  config.redis.connect_timeout = table.duration("connect_timeout_s");
  config.redis.probe_every = table.duration("probe_every_s");
  config.redis.wait = table.duration("wait_s");
}

void read_cors(const Section& table, Config& config) {
  const auto origins = table.texts("origins");
  if (!table.checked("origins", CorsRule::make(origins, {}))) return;
  auto rule = table.checked("allowed_headers", CorsRule::make(origins, table.texts("allowed_headers")));
  if (rule) config.cors = std::move(*rule);
}

void read_limits(const Section& table, Config& config) {
  config.limits.streams = {.streams = table.integer<std::uint64_t>("streams"),
                           .per_user = table.integer<std::uint64_t>("streams_per_user"),
                           .per_address = table.integer<std::uint64_t>("streams_per_address")};
  config.limits.memory_bytes = table.integer<std::uint64_t>("memory_mb") << 20U;
  ClientAddressRule& client = config.limits.client_address;
  if (table.text("address_from") == "forwarded") client.header = ClientAddressRule::Header::kForwarded;
  client.ipv6_prefix = table.integer<unsigned>("ipv6_prefix");
  for (const std::string& proxy : table.texts("trusted_proxies")) {
    if (const auto block = AddressBlock::parse(proxy)) {
      client.trusted_proxies.push_back(*block);
    } else {
      table.add_error("trusted_proxies",
                      '"' + proxy + "\" is neither an address nor a block like 10.0.0.0/8");
    }
  }
}

void read_identity(const Section& table, Config& config) {
  config.identity_key_file = table.text("key_file");
  config.identity_life = table.duration("life_s");
}

void read_drain(const Section& table, Config& config) {
  config.drain.settle = table.duration("settle_s");
  config.drain.deadline = table.duration("deadline_s");
  if (!table.has_error() && config.drain.settle >= config.drain.deadline)
    table.add_error("settle_s", "must be shorter than drain.deadline_s");
}

}  // namespace

std::optional<std::string> resolve(const Section& table, std::string_view key, const std::string& text,
                                   const ConfigSources& sources) {
  if (text.empty()) return std::nullopt;  // check() has added a finding
  if (key.ends_with("_env")) {
    auto value = sources.env(text);
    if (value && !value->empty()) return value;
    table.add_error(key, "the environment variable " + text + (value ? " is empty" : " is not set"));
    return std::nullopt;
  }
  if (!key.ends_with("_file")) return text;
  auto content = table.checked(key, sources.read_file(text));
  while (content && (content->ends_with('\n') || content->ends_with('\r'))) content->pop_back();
  if (!content || !content->empty()) return content;
  table.add_error(key, "the file " + text + " is empty");
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
  read_listen({settings, "listen"}, *config);
  read_redis({settings, "redis"}, sources, *config);
  read_cors({settings, "cors"}, *config);
  read_limits({settings, "limits"}, *config);
  read_identity({settings, "identity"}, *config);
  read_drain({settings, "drain"}, *config);
  read_providers(settings, sources, *config);
  read_records(settings, *config);
  read_routes(settings, *config);
  for (const auto& provider : config->providers) {
    provider->is_named = std::ranges::any_of(
        config->routes, [&](const Route& route) { return contains(route.providers, provider->name); });
  }
  if (settings.is_sound()) check_effects(settings, *config);
  if (!settings.is_sound()) return Error{settings.findings()};
  return std::shared_ptr<const Config>(std::move(config));
}

}  // namespace tailgate
