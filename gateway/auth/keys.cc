#include "gateway/auth/keys.h"

#include <algorithm>
#include <utility>

namespace tailgate {

Keys::Keys(const Loop& loop, Resolver& resolver, Providers providers, KeyTiming timing)
    : loop_(loop), resolver_(resolver), timing_(timing) {
  on_reload(std::move(providers));
}

Issuer Keys::issuer(const std::string& provider) const {
  const auto found = public_.find(provider);
  if (found != public_.end()) return {.rule = &found->second->rule(), .keys = found->second->keys()};
  return {.rule = find_provider(*providers_, provider), .keys = nullptr};
}

KeyWait Keys::refetch(const std::string& provider, std::function<void()> done) {
  const auto found = public_.find(provider);
  return found == public_.end() ? nullptr : found->second->refetch(std::move(done));
}

void Keys::on_reload(Providers providers) {
  auto before = std::exchange(public_, {});
  for (const auto& rule : *providers) {
    if (rule->jwks.empty()) continue;
    const auto known = before.find(rule->name);
    if (known != before.end() && known->second->rule().jwks == rule->jwks) {
      known->second->use(*rule);
      public_[rule->name] = std::move(known->second);
      before.erase(known);
    } else {
      public_[rule->name] = std::make_unique<ProviderKeys>(loop_, resolver_, *rule, timing_);
    }
  }
  const auto old_providers = std::exchange(providers_, std::move(providers));
  for (const auto& gone : before) gone.second->wake();
}

bool Keys::had(const std::string& provider) const {
  const Issuer found = issuer(provider);
  return found.rule != nullptr && (found.rule->jwks.empty() || found.keys != nullptr);
}

bool Keys::had_all() const {
  return std::all_of(providers_->begin(), providers_->end(),
                     [this](const auto& rule) { return had(rule->name); });
}

void Keys::write_metrics(MetricsText& out) const {
  out.begin("tailgate_provider_keys", MetricsText::Type::kGauge, "1 if the provider's keys are there.");
  for (const auto& rule : *providers_) {
    out.sample(MetricsText::label("provider", rule->name), std::uint64_t{had(rule->name)});
  }
}

}  // namespace tailgate
