// Keys: the providers of the configuration with their current keys.
//
// Owns a ProviderKeys, which refreshes the keys, for each provider that has a JWKS.  A reload reads every
// JWKS again.  A provider whose JWKS sources have not changed keeps its keys until then.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "gateway/auth/provider.h"
#include "gateway/auth/provider_keys.h"
#include "gateway/auth/token_check.h"
#include "gateway/base/metrics_text.h"

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

  // After the verdict kNoKeys: waits for the provider's keys, see ProviderKeys::refetch().  Null: there is
  // nothing to wait for.  `done` is also called if a reload removes the provider.
  [[nodiscard]] KeyWait refetch(const std::string& provider, std::function<void()> done);

  // Files are read before this returns.  Functions of refetch() may be called meanwhile.
  void on_reload(Providers providers);

  // True if the provider has secrets, or its public keys have been fetched.
  bool has_keys(const std::string& name) const;
  bool has_all_keys() const;
  void write_metrics(MetricsText& out) const;

 private:
  const Loop& loop_;
  Resolver& resolver_;
  const KeyTiming timing_;
  Providers providers_;  // outlives `with_jwks_`
  std::map<std::string, std::unique_ptr<ProviderKeys>> with_jwks_;
};

}  // namespace tailgate
