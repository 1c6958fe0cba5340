// Keys: the providers with their public keys, as they are now.
//
// What the Authenticator asks for keys; one ProviderKeys for each provider that has any.  Over a
// reload those whose places did not change keep what they have.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "gateway/auth/authenticator.h"
#include "gateway/auth/provider.h"
#include "gateway/auth/provider_keys.h"
#include "gateway/base/metrics_text.h"

namespace tailgate {

class Keys final : public Issuers {
 public:
  // The pointer keeps the providers alive, usually as part of the configuration that they came with.
  using Providers = std::shared_ptr<const ProviderList>;

  Keys(const Loop& loop, Resolver& resolver, Providers providers, KeyTiming timing = {});
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;

  Issuer issuer(const std::string& provider) const override;

  // For a verdict of kUnknownKid or kNoKeys: waits for `provider`'s keys as ProviderKeys::refetch() says.
  // Null: judge with what is there.  A reload that takes the provider away calls `done` too.
  [[nodiscard]] KeyWait refetch(const std::string& provider, std::function<void()> done);

  void on_reload(Providers providers);

  // Are `provider`'s keys or secrets there?
  bool had(const std::string& provider) const;
  bool had_all() const;
  void write_metrics(MetricsText& out) const;

 private:
  const Loop& loop_;
  Resolver& resolver_;
  const KeyTiming timing_;
  Providers providers_;  // outlives `public_`
  std::map<std::string, std::unique_ptr<ProviderKeys>> public_;
};

}  // namespace tailgate
