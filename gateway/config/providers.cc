// [provider.*]: who signs tokens, and with what (config_parts.h).
#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <utility>

#include "gateway/auth/jwks.h"
#include "gateway/config/parts.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// Below this a secret can be guessed offline from one token.  RFC 7518 section 3.2 asks for as many bytes
// as the hash has (32 for HS256); shorter ones are in use, and refusing them would shut their users out.
constexpr std::size_t kMinSecretBytes = 16;

constexpr std::array<std::pair<std::string_view, Algorithm>, 10> kAlgorithms = {{
    {"RS256", Algorithm::kRS256},
    {"RS384", Algorithm::kRS384},
    {"RS512", Algorithm::kRS512},
    {"PS256", Algorithm::kPS256},
    {"ES256", Algorithm::kES256},
    {"ES384", Algorithm::kES384},
    {"EdDSA", Algorithm::kEdDSA},
    {"HS256", Algorithm::kHS256},
    {"HS384", Algorithm::kHS384},
    {"HS512", Algorithm::kHS512},
}};

// "https://<host>" from "pk_test_" or "pk_live_" and base64("<host>$").
Result<std::string> issuer_of_clerk_key(std::string_view key) {
  if (!key.starts_with("pk_test_") && !key.starts_with("pk_live_")) {
    return Error{"a Clerk publishable key begins with pk_test_ or pk_live_"};
  }
  std::string code(key.substr(8));
  while (code.ends_with('=')) code.pop_back();
  std::replace(code.begin(), code.end(), '+', '-');
  std::replace(code.begin(), code.end(), '/', '_');
  const auto text = base64url_decode(code);
  const bool is_host = text && text->size() > 1 && text->find('.') != std::string::npos &&
                       text->find('$') == text->size() - 1 &&
                       text->find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == text->size() - 1;
  if (!is_host)
    return Error{"is no Clerk publishable key: behind its prefix must be the base64 of \"<host>$\""};
  return "https://" + text->substr(0, text->size() - 1);
}

Status check_jwks(std::string_view source) {
  const auto place = parse_jwks_place(source);
  return place ? Status() : Status(Error{place.error()});
}

class ProviderReader {
 public:
  ProviderReader(Settings& settings, const ConfigSources& sources, const std::string& name)
      : settings_(settings),
        sources_(sources),
        at_("provider." + name + '.'),
        rule_(std::make_unique<ProviderRule>()) {
    rule_->name = name;
  }

  std::unique_ptr<ProviderRule> read() {
    read_keys();
    read_algorithms();
    read_issuer();
    rule_->audience = settings_.texts(at_ + "audience");
    rule_->authorized_parties = settings_.texts(at_ + "authorized_parties");
    rule_->required = settings_.texts(at_ + "required");
    rule_->subject = settings_.text(at_ + "subject");
    rule_->leeway = std::chrono::floor<std::chrono::seconds>(settings_.duration(at_ + "leeway_s"));
    rule_->refresh = std::chrono::floor<std::chrono::seconds>(settings_.duration(at_ + "refresh_s"));
    rule_->end_at_expiry = settings_.text(at_ + "at_expiry") == "end";
    return std::move(rule_);
  }

 private:
  void read_keys() {
    constexpr std::string_view kRule = "needs exactly one of secret, secret_env, secret_file and jwks";
    int given = 0;
    for (const char* key : {"secret", "secret_env", "secret_file", "jwks"}) {
      given += settings_.has(at_ + key) ? 1 : 0;
      keys_are_known_ = keys_are_known_ && !settings_.is_misspelled(at_ + key);
    }
    if (given == 0 && !keys_are_known_) return;
    keys_are_known_ = keys_are_known_ && given == 1;
    if (given != 1) return settings_.add_error("provider." + rule_->name, std::string(kRule));

    for (const std::string& secret : settings_.texts(at_ + "secret")) add_secret("secret", secret);
    for (const std::string& name : settings_.texts(at_ + "secret_env")) {
      if (const auto secret = read_variable(settings_, at_ + "secret_env", name, sources_))
        add_secret("secret_env", *secret);
    }
    for (const std::string& path : settings_.texts(at_ + "secret_file")) {
      if (const auto secret = read_secret_file(settings_, at_ + "secret_file", path, sources_)) {
        add_secret("secret_file", *secret);
      }
    }
    rule_->jwks = settings_.texts(at_ + "jwks");
    for (const std::string& source : rule_->jwks) settings_.add_error_of(at_ + "jwks", check_jwks(source));
  }

  void add_secret(const char* key, const std::string& secret) {
    if (secret.size() < kMinSecretBytes) {
      settings_.add_error(at_ + key,
                          "a shared secret must have at least 16 bytes (RFC 7518 asks for 32), because a "
                          "shorter one can be guessed from any one token");
    }
    rule_->secrets.push_back(secret);
  }

  void read_algorithms() {
    const std::string key = at_ + "algorithms";
    if (!settings_.require(key)) return;
    const auto names = settings_.texts(key);
    if (names.empty()) settings_.add_error(key, "must name at least one algorithm");
    for (const std::string& name : names) {
      const auto found = std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                                      [&name](const auto& entry) { return entry.first == name; });
      if (found == kAlgorithms.end()) {
        settings_.add_error(
            key, '"' + name +
                     "\" is none of RS256, RS384, RS512, PS256, ES256, ES384, EdDSA, HS256, HS384 and HS512");
        continue;
      }
      const bool is_shared = name.starts_with("HS");
      if (!keys_are_known_) {
        // Which kind of key they need to be for cannot be said.
      } else if (is_shared && settings_.has(at_ + "jwks")) {
        settings_.add_error(key, name + " needs a shared secret; public keys (jwks) must never serve as one");
      } else if (!is_shared && !settings_.has(at_ + "jwks")) {
        settings_.add_error(key, name + " needs public keys (jwks), not a shared secret");
      }
      rule_->algorithms.push_back(found->second);
    }
  }

  void read_issuer() {
    int given = 0;
    for (const char* key : {"issuer", "clerk_publishable_key", "clerk_publishable_key_env"}) {
      given += settings_.has(at_ + key) ? 1 : 0;
    }
    if (given > 1) {
      settings_.add_error("provider." + rule_->name,
                          "takes one of issuer, clerk_publishable_key and clerk_publishable_key_env");
    }
    rule_->issuer = settings_.text(at_ + "issuer");
    std::string key = at_ + "clerk_publishable_key";
    std::optional<std::string> clerk;
    if (settings_.has(key)) clerk = settings_.text(key);
    if (settings_.has(key + "_env")) {
      key += "_env";
      clerk = read_variable(settings_, key, settings_.text(key), sources_);
    }
    if (!clerk) return;
    const Result<std::string> issuer = issuer_of_clerk_key(trim(*clerk));
    if (issuer) {
      rule_->issuer = *issuer;
    } else {
      settings_.add_error(key, issuer.error());
    }
  }

  Settings& settings_;
  const ConfigSources& sources_;
  std::string at_;  // "provider.<name>."
  bool keys_are_known_ = true;
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
