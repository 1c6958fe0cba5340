// FakeProviders: providers with the rules and keys that a test gives them.
#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gateway/auth/authenticator.h"
#include "tests/support/signing_key.h"

namespace tailgate::testing {

inline constexpr WallTime kNow{std::chrono::seconds(1'700'000'000)};
inline constexpr std::string_view kAnn = R"({"sub":"ann","exp":1700000060})";
inline constexpr std::string_view kBob = R"({"sub":"bob","exp":1700000060})";
inline constexpr std::string_view kExpired = R"({"sub":"ann","exp":1699990000})";

inline std::shared_ptr<const KeySet> key_set(std::initializer_list<std::string> jwks) {
  return std::make_shared<const KeySet>(parse_jwks(jwks_of(jwks))->keys);
}

class FakeProviders {
 public:
  // A provider with public keys.
  ProviderRule& add(const std::string& name, std::vector<Algorithm> algorithms,
                    std::shared_ptr<const KeySet> keys) {
    ProviderRule& rule = rules_[name];
    rule.name = name;
    rule.algorithms = std::move(algorithms);
    rule.jwks = {"file:/keys"};
    keys_[name] = std::move(keys);
    return rule;
  }
  ProviderRule& add_secret(const std::string& name, std::vector<std::string> secrets,
                           std::vector<Algorithm> algorithms = {Algorithm::kHS256}) {
    ProviderRule& rule = rules_[name];
    rule.name = name;
    rule.algorithms = std::move(algorithms);
    rule.secrets = std::move(secrets);
    return rule;
  }
  void set_keys(const std::string& name, std::shared_ptr<const KeySet> keys) {
    keys_[name] = std::move(keys);
  }

  Provider provider(const std::string& name) const {
    const auto rule = rules_.find(name);
    if (rule == rules_.end()) return {};
    const auto keys = keys_.find(name);
    return {.rule = &rule->second, .keys = keys == keys_.end() ? nullptr : keys->second};
  }
  // The providers of these names that exist.
  std::vector<Provider> providers(const std::vector<std::string>& names) const {
    std::vector<Provider> found;
    for (const std::string& name : names) {
      if (rules_.contains(name)) found.push_back(provider(name));
    }
    return found;
  }

 private:
  std::map<std::string, ProviderRule> rules_;
  std::map<std::string, std::shared_ptr<const KeySet>> keys_;
};

}  // namespace tailgate::testing
