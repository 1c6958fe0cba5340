// Keys: the providers of the configuration with their current keys.
//
// Owns a ProviderKeys, which refreshes the keys, for each provider that has a JWKS.  A reload reads every
// JWKS again.  A source that the provider had before keeps its keys until it has answered.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "gateway/auth/provider.h"
#include "gateway/auth/provider_keys.h"
#include "gateway/auth/token_check.h"
#include "gateway/base/metrics_text.h"
#include "gateway/base/result.h"

namespace tailgate {

class Keys {
 public:
  // Keeps the rules alive, and the configuration that holds them.
  using Providers = std::shared_ptr<const ProviderList>;

  Keys(const Loop& loop, Resolver& resolver, Providers providers, KeyTiming timing = {});
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;

  // The rule is null if there is no such provider.
  Provider provider(const std::string& name) const;

  // Call this after the verdict kNoKeys.  Waits for the provider's keys, see ProviderKeys::refetch().
  // Returns null if there is nothing to wait for.  `done` is also called if a reload removes the provider.
  [[nodiscard]] KeyWait refetch(const std::string& provider, std::function<void()> done);

  // Reads every file before it returns.  May call functions that were given to refetch().
  void on_reload(Providers providers);
  // Reads each JWKS file of `providers` that is not in use yet.  Fails if one cannot be read or holds no
  // JWKS.
  Status check_new_files(const ProviderList& providers) const;

  // True if the provider has secrets, or public keys that have been fetched.
  bool has_keys(const std::string& name) const;
  // True if each provider that a route names has keys.
  bool has_all_keys() const;
  // The first provider that a route names but that has no keys, and the reason.  Empty if has_all_keys().
  std::string why_missing() const;
  void write_metrics(MetricsText& out) const;

 private:
  const Loop& loop_;
  Resolver& resolver_;
  const KeyTiming timing_;
  Providers providers_;  // outlives `with_jwks_`
  std::map<std::string, std::unique_ptr<ProviderKeys>> with_jwks_;
};

}  // namespace tailgate
