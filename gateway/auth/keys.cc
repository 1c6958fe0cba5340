#include "gateway/auth/keys.h"

#include <algorithm>
#include <utility>

#include "gateway/auth/jwks.h"
#include "gateway/loop/small_file.h"
#include "gateway/text/text.h"

namespace tailgate {

Keys::Keys(const Loop& loop, Resolver& resolver, Providers providers, KeyTiming timing)
    : loop_(loop), resolver_(resolver), timing_(timing), providers_(std::move(providers)) {
  for (const auto& rule : *providers_) {
    if (rule->jwks.empty()) continue;
    with_jwks_[rule->name] = std::make_unique<ProviderKeys>(loop_, resolver_, *rule, timing_);
  }
}

Provider Keys::provider(const std::string& name) const {
  const auto found = with_jwks_.find(name);
  if (found != with_jwks_.end()) {
    const ProviderKeys& of = *found->second;
    return {.rule = &of.rule(), .keys = of.keys(), .is_complete = of.is_complete()};
  }
  return {.rule = find_provider(*providers_, name), .keys = nullptr};
}

KeyWait Keys::refetch(const std::string& provider, std::function<void()> done) {
  const auto found = with_jwks_.find(provider);
  return found == with_jwks_.end() ? nullptr : found->second->refetch(std::move(done));
}

void Keys::on_reload(Providers providers) {
  auto before = std::exchange(with_jwks_, {});
  for (const auto& rule : *providers) {
    if (rule->jwks.empty()) continue;
    const auto known = before.find(rule->name);
    if (known != before.end()) {
      known->second->replace_rule(*rule);
      with_jwks_[rule->name] = std::move(known->second);
      before.erase(known);
    } else {
      with_jwks_[rule->name] = std::make_unique<ProviderKeys>(loop_, resolver_, *rule, timing_);
    }
  }
  // Keeps the old rules alive, because the removed ProviderKeys refer to them.
  const auto old_providers = std::exchange(providers_, std::move(providers));
  // From here on, functions that were given to refetch() may run.  They look up any provider.
  for (const auto& each : with_jwks_) each.second->read_again();
  for (const auto& removed : before) removed.second->notify_waiters();
}

bool Keys::has_keys(const std::string& name) const {
  const Provider found = provider(name);
  if (found.rule == nullptr) return false;
  return found.rule->jwks.empty() || (found.keys != nullptr && !found.keys->keys().empty());
}

bool Keys::has_all_keys() const {
  return std::all_of(providers_->begin(), providers_->end(),
                     [this](const auto& rule) { return !rule->is_named || has_keys(rule->name); });
}

std::string Keys::why_missing() const {
  for (const auto& rule : *providers_) {
    if (!rule->is_named || has_keys(rule->name)) continue;
    const ProviderKeys& of = *with_jwks_.at(rule->name);
    std::string why = of.why_failed();
    if (why.empty()) why = of.keys() == nullptr ? "has not fetched its keys yet" : "no usable key";
    return "provider " + rule->name + ": " + why;
  }
  return {};
}

Status Keys::check_new_files(const ProviderList& providers) const {
  for (const auto& rule : providers) {
    const auto known = with_jwks_.find(rule->name);
    for (const std::string& text : rule->jwks) {
      if (known != with_jwks_.end() && contains(known->second->rule().jwks, text)) continue;
      const auto address = parse_jwks_source(text);
      if (!address || address->file.empty()) continue;
      const std::string key = "provider." + rule->name + ".jwks: ";
      const auto content = read_small_file(address->file, kMaxJwksBytes);
      if (!content) return Error{key + content.error()};
      if (const auto parsed = parse_jwks(*content); !parsed)
        return Error{key + address->file + ": " + parsed.error()};
    }
  }
  return {};
}

void Keys::write_metrics(MetricsText& out) const {
  out.begin("tailgate_provider_keys", MetricsText::Type::kGauge, "1 if the provider's keys are there.");
  for (const auto& rule : *providers_) {
    out.sample(MetricsText::label("provider", rule->name), std::uint64_t{has_keys(rule->name)});
  }
}

}  // namespace tailgate
