#include "gateway/auth/keys.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace tailgate {

Keys::Keys(const Loop& loop, Resolver& resolver, Providers providers, KeyTiming timing)
    : loop_(loop), resolver_(resolver), timing_(timing) {
  on_reload(std::move(providers));
}

Provider Keys::provider(const std::string& name) const {
  const auto found = with_jwks_.find(name);
  if (found != with_jwks_.end()) return {.rule = &found->second->rule(), .keys = found->second->keys()};
  return {.rule = find_provider(*providers_, name), .keys = nullptr};
}

KeyWait Keys::refetch(const std::string& provider, std::function<void()> done) {
  const auto found = with_jwks_.find(provider);
  return found == with_jwks_.end() ? nullptr : found->second->refetch(std::move(done));
}

void Keys::on_reload(Providers providers) {
  auto before = std::exchange(with_jwks_, {});
  std::vector<ProviderKeys*> kept;
  for (const auto& rule : *providers) {
    if (rule->jwks.empty()) continue;
    const auto known = before.find(rule->name);
    if (known != before.end() && known->second->rule().jwks == rule->jwks) {
      known->second->replace_rule(*rule);
      kept.push_back(known->second.get());
      with_jwks_[rule->name] = std::move(known->second);
      before.erase(known);
    } else {
      with_jwks_[rule->name] = std::make_unique<ProviderKeys>(loop_, resolver_, *rule, timing_);
    }
  }
  // Keeps the old rules alive, because the removed ProviderKeys refer to them.
  const auto old_providers = std::exchange(providers_, std::move(providers));
  // From here on functions of refetch() are called, which look up any provider.
  for (ProviderKeys* each : kept) each->read_again();
  for (const auto& removed : before) removed.second->notify_waiters();
}

bool Keys::has_keys(const std::string& name) const {
  const Provider found = provider(name);
  return found.rule != nullptr && (found.rule->jwks.empty() || found.keys != nullptr);
}

bool Keys::has_all_keys() const {
  return std::all_of(providers_->begin(), providers_->end(),
                     [this](const auto& rule) { return has_keys(rule->name); });
}

void Keys::write_metrics(MetricsText& out) const {
  out.begin("tailgate_provider_keys", MetricsText::Type::kGauge, "1 if the provider's keys are there.");
  for (const auto& rule : *providers_) {
    out.sample(MetricsText::label("provider", rule->name), std::uint64_t{has_keys(rule->name)});
  }
}

}  // namespace tailgate
