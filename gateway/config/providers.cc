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

// A Clerk publishable key is "pk_test_" or "pk_live_" and base64("<host>$").  Returns "https://<host>".
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

class ProviderReader {
 public:
  ProviderReader(Settings& settings, const ConfigSources& sources, const std::string& name)
      : table_(settings, "provider." + name), sources_(sources), rule_(std::make_unique<ProviderRule>()) {
    rule_->name = name;
  }

  std::unique_ptr<ProviderRule> read() {
    read_keys();
    read_algorithms();
    read_issuer();
    rule_->audience = table_.texts("audience");
    rule_->authorized_parties = table_.texts("authorized_parties");
    rule_->required = table_.texts("required");
    rule_->subject = table_.text("subject");
    rule_->leeway = table_.seconds("leeway_s");
    rule_->refresh = table_.seconds("refresh_s");
    rule_->end_at_expiry = table_.text("at_expiry") == "end";
    return std::move(rule_);
  }

 private:
  void read_keys() {
    int given = 0;
    for (const char* key : {"secret", "secret_env", "secret_file", "jwks"}) given += table_.has(key) ? 1 : 0;
    if (given == 0 && table_.has_error()) return;
    if (given != 1) return table_.add_error("needs exactly one of secret, secret_env, secret_file and jwks");

    for (const std::string& secret : table_.texts("secret")) add_secret("secret", secret);
    for (const std::string& name : table_.texts("secret_env")) {
      if (const auto secret = read_variable(table_.settings(), table_.at("secret_env"), name, sources_))
        add_secret("secret_env", *secret);
    }
    for (const std::string& path : table_.texts("secret_file")) {
      if (const auto secret = read_secret_file(table_.settings(), table_.at("secret_file"), path, sources_))
        add_secret("secret_file", *secret);
    }
    rule_->jwks = table_.texts("jwks");
    for (const std::string& source : rule_->jwks) {
      if (const auto place = parse_jwks_source(source); !place) table_.add_error("jwks", place.error());
    }
  }

  void add_secret(const char* key, const std::string& secret) {
    if (secret.size() < kMinSecretBytes) {
      table_.add_error(key,
                       "a shared secret must have at least 16 bytes (RFC 7518 asks for 32), because a "
                       "shorter one can be guessed from any one token");
    }
    rule_->secrets.push_back(secret);
  }

  void read_algorithms() {
    const bool has_error = table_.has_error();
    if (!table_.require("algorithms")) return;
    const auto names = table_.texts("algorithms");
    if (names.empty()) table_.add_error("algorithms", "must name at least one algorithm");
    for (const std::string& name : names) {
      const auto algorithm = algorithm_named(name);
      if (!algorithm) {
        table_.add_error(
            "algorithms",
            '"' + name +
                "\" is none of RS256, RS384, RS512, PS256, ES256, ES384, EdDSA, HS256, HS384 and "
                "HS512");
        continue;
      }
      rule_->algorithms.push_back(*algorithm);
      if (has_error) continue;
      if (is_symmetric(*algorithm) && table_.has("jwks")) {
        table_.add_error("algorithms",
                         name + " needs a shared secret; public keys (jwks) must never serve as one");
      } else if (!is_symmetric(*algorithm) && !table_.has("jwks")) {
        table_.add_error("algorithms", name + " needs public keys (jwks), not a shared secret");
      }
    }
  }

  void read_issuer() {
    int given = 0;
    for (const char* key : {"issuer", "clerk_publishable_key", "clerk_publishable_key_env"})
      given += table_.has(key) ? 1 : 0;
    if (given > 1)
      table_.add_error("takes one of issuer, clerk_publishable_key and clerk_publishable_key_env");
    rule_->issuer = table_.text("issuer");
    std::string key = "clerk_publishable_key";
    std::optional<std::string> clerk;
    if (table_.has(key)) clerk = table_.text(key);
    if (table_.has(key + "_env")) {
      key += "_env";
      clerk = read_variable(table_.settings(), table_.at(key), table_.text(key), sources_);
    }
    if (!clerk) return;
    const Result<std::string> issuer = issuer_of_clerk_key(trim(*clerk));
    if (issuer) {
      rule_->issuer = *issuer;
    } else {
      table_.add_error(key, issuer.error());
    }
  }

  Section table_;
  const ConfigSources& sources_;
  std::unique_ptr<ProviderRule> rule_;
};

}  // namespace

void read_providers(Settings& settings, const ConfigSources& sources, Config& config) {
  for (const std::string& name : settings.names_in("provider")) {
    if (settings.is_fragment("provider." + name, {"algorithms"})) continue;
    config.providers.push_back(ProviderReader(settings, sources, name).read());
  }
}

}  // namespace tailgate
