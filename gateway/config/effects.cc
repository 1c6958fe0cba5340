// Refuses keys that have no effect because of other tables.
//
// The rules within one table stand beside the table's reader.  A value from the environment is not judged,
// because one file often serves several environments.  A provider or a record that no route names is allowed:
// routes may use it later, and a record may describe more of a job than the routes use.
#include <algorithm>
#include <string>
#include <vector>

#include "gateway/config/parts.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

bool is_stream(const Route& route) {
  return route.source != Source::kPages;
}

bool verifies_callers(const Route& route) {
  return route.who == Who::kOwner && route.auth == AuthBy::kGateway;
}

bool is_from_environment(const Section& table, std::string_view key) {
  return table.settings().is_from_environment(table.at(key));
}

void check_sockets(const Section& table, const Config& config) {
  for (const Endpoint* endpoint : {&config.listen_streams, &config.listen_auth, &config.listen_ops}) {
    if (!endpoint->unix_path.empty()) return;
  }
  for (const char* key : {"streams", "auth", "ops"}) {
    if (is_from_environment(table, key)) return;
  }
  table.refuse({"socket_mode", "socket_group"}, "has no effect: no listener is a unix socket");
}

void check_redis(const Section& table, const Config& config) {
  const bool may_use_tls = table.text("url").starts_with("rediss://") || !table.has("url");
  const bool is_fixed = !is_from_environment(table, "url") && !is_from_environment(table, "tls_leg");
  if (!may_use_tls && is_fixed && !table.text("tls_leg").empty())
    table.add_error("tls_leg", "has no effect: only a url that begins with rediss:// is reached through it");
  const auto is_woken = [](const Route& route) {
    const bool has_hash = route.record != nullptr && route.record->kind == RecordRule::Kind::kHash;
    return route.source == Source::kLog || (route.source == Source::kChannel && has_hash);
  };
  if (std::ranges::none_of(config.routes, is_woken))
    table.refuse({"wakeups"},
                 "has no effect: no route has source = \"log\", and no stream has a record in Redis");
}

void check_cors(const Section& table, const Config& config) {
  if (config.cors.origins().empty()) {
    if (is_from_environment(table, "origins")) return;
    return table.refuse({"allowed_headers"},
                        "has no effect without origins (or TAILGATE_CORS_ORIGINS in the environment)");
  }
  const std::vector<std::string> allowed = table.texts("allowed_headers");
  for (const Route& route : config.routes) {
    for (const Credential& place : route.credentials) {
      if (place.kind != Credential::Kind::kSessionHeader) continue;
      const auto is_it = [&](const std::string& header) { return ascii_lower(header) == place.name; };
      if (std::ranges::none_of(allowed, is_it)) {
        table.add_error("allowed_headers", "must hold \"" + place.name + "\", which [route." + route.name +
                                               "] reads; otherwise browsers refuse to send it");
      }
    }
  }
}

void check_limits(const Section& table, const Config& config) {
  if (std::ranges::none_of(config.routes, is_stream)) {
    for (const char* key : {"streams", "streams_per_user", "streams_per_address"}) {
      if (table.integer<std::uint64_t>(key) > 0)
        table.add_error(key, "has no effect: every route has source = \"pages\", and pages are not counted");
    }
  } else if (config.limits.streams.per_user > 0 &&
             std::ranges::none_of(config.routes, [](const Route& route) {
               return is_stream(route) && verifies_callers(route);
             })) {
    table.add_error("streams_per_user",
                    "has no effect: Tailgate knows no user, because no stream has who = \"owner\" and auth = "
                    "\"gateway\"");
  }
  if (config.limits.streams.per_address > 0) return;
  table.refuse({"address_from", "ipv6_prefix"}, "has no effect without streams_per_address");
  if (!config.limits.client_address.trusted_proxies.empty())
    table.add_error("trusted_proxies", "has no effect without streams_per_address");
}

void check_identity(const Section& table, const Config& config) {
  if (std::ranges::any_of(config.routes, verifies_callers)) return;
  table.refuse(
      {"life_s"},
      "has no effect: no route has who = \"owner\" and auth = \"gateway\", so no identity is sealed");
}

void check_provider(const Section& table, const Config& config, const std::string& name) {
  const auto names_it = [&name](const Route& route) { return contains(route.providers, name); };
  const bool has_stream = std::ranges::any_of(
      config.routes, [&](const Route& route) { return names_it(route) && is_stream(route); });
  if (has_stream || std::ranges::none_of(config.routes, names_it)) return;
  table.refuse({"at_expiry"}, "has no effect: only routes with source = \"pages\" name this provider");
}

}  // namespace

void check_effects(Settings& settings, const Config& config) {
  check_sockets({settings, "listen"}, config);
  check_redis({settings, "redis"}, config);
  check_cors({settings, "cors"}, config);
  check_limits({settings, "limits"}, config);
  check_identity({settings, "identity"}, config);
  for (const auto& provider : config.providers)
    check_provider({settings, "provider." + provider->name}, config, provider->name);
}

}  // namespace tailgate
