// Reads [provider.*], the issuers of tokens.
#include <cstddef>
#include <memory>
#include <utility>

#include "gateway/auth/algorithm.h"
#include "gateway/auth/jwks.h"
#include "gateway/config/parts.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// A shorter secret can be guessed offline from one token.  RFC 7518 section 3.2 asks for as many bytes as the
// hash has (32 for HS256), but shorter secrets are in use.
constexpr std::size_t kMinSecretBytes = 16;

// A Clerk publishable key is "pk_test_" or "pk_live_", followed by base64("<host>$").  Returns
// "https://<host>".
Result<std::string> issuer_of_clerk_key(std::string_view key) {
  if (!key.starts_with("pk_test_") && !key.starts_with("pk_live_")) {
    return Error{"a Clerk publishable key begins with pk_test_ or pk_live_"};
  }
  const auto text = base64_decode(key.substr(8));
  const bool is_host = text && text->size() > 1 && text->find('.') != std::string::npos &&
                       text->find('$') == text->size() - 1 &&
                       text->find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == text->size() - 1;
  if (!is_host)
    return Error{"is no Clerk publishable key: behind its prefix must be the base64 of \"<host>$\""};
  return "https://" + text->substr(0, text->size() - 1);
}

void read_keys(const Section& table, const ConfigSources& sources, ProviderRule& rule) {
  const auto keys = table.present({"secret", "secret_env", "secret_file", "jwks"});
  if (keys.empty() && table.has_error()) return;
  if (keys.size() != 1)
    return table.add_error("needs exactly one of secret, secret_env, secret_file and jwks");
  const std::string& key = keys.front();
  if (table.texts(key).empty()) table.add_error(key, "must name at least one");
  if (key != "jwks") table.refuse({"refresh_s"}, "has no effect without jwks");
  for (const std::string& text : table.texts(key)) {
    if (key == "jwks") {
      if (table.checked(key, parse_jwks_source(text))) rule.jwks.push_back(text);
    } else if (auto secret = resolve(table, key, text, sources)) {
      if (secret->size() < kMinSecretBytes) {
        table.add_error(key,
                        "a shared secret must have at least 16 bytes (RFC 7518 asks for 32), because a "
                        "shorter one can be guessed from any one token");
      }
      rule.secrets.push_back(std::move(*secret));
    }
  }
}

void read_algorithms(const Section& table, ProviderRule& rule) {
  const bool has_error = table.has_error();
  if (!table.require("algorithms")) return;
  const auto names = table.texts("algorithms");
  if (names.empty()) table.add_error("algorithms", "must name at least one algorithm");
  for (const std::string& name : names) {
    const auto algorithm = algorithm_named(name);
    if (!algorithm) {
      table.add_error("algorithms", '"' + name + "\" is none of " + join(kAlgorithmNames, ", ", " and "));
      continue;
    }
    rule.algorithms.push_back(*algorithm);
    if (has_error) continue;
    if (is_symmetric(*algorithm) && table.has("jwks")) {
      table.add_error("algorithms",
                      name + " needs a shared secret; public keys (jwks) must never serve as one");
    } else if (!is_symmetric(*algorithm) && !table.has("jwks")) {
      table.add_error("algorithms", name + " needs public keys (jwks), not a shared secret");
    }
  }
}

void read_issuer(const Section& table, const ConfigSources& sources, ProviderRule& rule) {
  const auto keys = table.present({"issuer", "clerk_publishable_key", "clerk_publishable_key_env"});
  if (keys.size() > 1)
    table.add_error("takes one of issuer, clerk_publishable_key and clerk_publishable_key_env");
  rule.issuer = table.text("issuer");
  if (keys.empty() || keys.back() == "issuer") return;
  const auto clerk = resolve(table, keys.back(), table.text(keys.back()), sources);
  if (!clerk) return;
  if (auto issuer = table.checked(keys.back(), issuer_of_clerk_key(trim(*clerk))))
    rule.issuer = std::move(*issuer);
}

}  // namespace

void read_providers(Settings& settings, const ConfigSources& sources, Config& config) {
  for (const std::string& name : settings.names_in("provider")) {
    const Section table(settings, "provider." + name);
    if (settings.is_fragment(table.name(), {"algorithms"})) continue;
    auto rule = std::make_unique<ProviderRule>();
    rule->name = name;
    read_keys(table, sources, *rule);
    read_algorithms(table, *rule);
    read_issuer(table, sources, *rule);
    rule->audience = table.texts("audience");
    rule->authorized_parties = table.texts("authorized_parties");
    rule->required = table.texts("required");
    rule->subject = table.text("subject");
    rule->leeway = table.duration("leeway_s");
    rule->refresh = table.duration("refresh_s");
    rule->end_at_expiry = table.text("at_expiry") == "end";
    config.providers.push_back(std::move(rule));
  }
}

}  // namespace tailgate
