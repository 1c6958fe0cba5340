#include "gateway/auth/provider_keys.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/loop/random.h"
#include "gateway/loop/small_file.h"

namespace tailgate {

namespace {

// So that the gateways of a fleet do not ask in one moment.
constexpr double kJitter = 0.1;

std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) {
    if (!text.empty()) text += "; ";
    text += sentence;
  }
  return text;
}

}  // namespace

ProviderKeys::ProviderKeys(const Loop& loop, Resolver& resolver, const ProviderRule& rule,
                           const KeyTiming& timing)
    : loop_(loop),
      resolver_(resolver),
      rule_(&rule),
      timing_(timing),
      backoff_(timing.first_retry, timing.last_retry),
      timer_(loop, [this] { begin_round(); }) {
  for (const std::string& text : rule.jwks) {
    auto where = parse_jwks_place(text);
    if (!where) std::abort();  // config_providers.cc has checked it
    places_.push_back({.text = text, .where = *where, .fetch = {}, .keys = {}, .trouble = {}});
  }
  timer_.after(std::chrono::milliseconds(0));
}

KeyWait ProviderKeys::refetch(std::function<void()> done) {
  const TimePoint now = Loop::now();
  if (!under_way_ || keys_ != nullptr) {
    const bool may = now >= next_refetch_;
    if (!may && !under_way_) return nullptr;
    if (may) {
      next_refetch_ = now + timing_.refetch_every;
      // The round under way may have been answered before the new key was published.
      again_ = under_way_;
    }
    if (!under_way_) {
      under_way_ = true;
      timer_.after(std::chrono::milliseconds(0));
    }
  }
  auto wait = std::make_shared<const std::function<void()>>(std::move(done));
  waiting_.push_back(wait);
  return wait;
}

void ProviderKeys::wake() {
  const auto waiting = std::exchange(waiting_, {});
  for (const auto& one : waiting) {
    if (const KeyWait wait = one.lock()) (*wait)();
  }
}

void ProviderKeys::begin_round() {
  under_way_ = true;
  unsettled_ = places_.size();
  for (Place& place : places_) ask(place);
}

void ProviderKeys::ask(Place& place) {
  if (!place.where.file.empty()) {
    settle(place, read_small_file(place.where.file, kMaxJwksBytes));
    return;
  }
  const JwksPlace& where = place.where;
  place.fetch = std::make_unique<HttpFetch>(
      loop_, resolver_,
      HttpQuestion{.to = {.unix_path = where.unix_path, .host = where.host, .port = where.port},
                   .path = where.path,
                   .authority = where.authority,
                   .headers = {{"Accept", "application/json"}},
                   .max_body_bytes = kMaxJwksBytes,
                   .within = timing_.fetch},
      [this, &place](Result<HttpAnswer> answer) {
        place.fetch.reset();
        if (!answer) {
          settle(place, Error{answer.error()});
        } else if (answer->status != 200) {
          settle(place, Error{"it answers with status " + std::to_string(answer->status)});
        } else {
          settle(place, std::move(answer->body));
        }
      });
}

void ProviderKeys::settle(Place& place, const Result<std::string>& text) {
  auto parsed = text ? parse_jwks(*text) : Result<ParsedJwks>(Error{text.error()});
  std::string trouble = parsed ? "" : parsed.error();
  if (parsed && parsed->keys.empty()) {
    trouble = "it holds no key that we can use";
    if (!parsed->left_out.empty()) trouble += ": " + joined(parsed->left_out);
  }
  if (!trouble.empty() && trouble != place.trouble) {
    log_warning("keys.failed", {{"provider", rule_->name},
                                {"from", place.text},
                                {"why", trouble},
                                {"has_old_keys", !place.keys.empty()}});
  }
  const bool recovered = trouble.empty() && !place.trouble.empty();
  place.trouble = std::move(trouble);
  if (place.trouble.empty()) {
    const auto before = keys_;
    const std::string left_out = joined(parsed->left_out);
    take(place, std::move(*parsed));
    if (recovered || before == nullptr || before->fingerprint() != keys_->fingerprint()) {
      log_info("keys.refreshed", {{"provider", rule_->name},
                                  {"from", place.text},
                                  {"keys", place.keys.size()},
                                  {"left_out", left_out}});
    }
  }
  if (--unsettled_ == 0) finish_round();
}

void ProviderKeys::take(Place& place, ParsedJwks parsed) {
  place.keys = std::move(parsed.keys);
  std::vector<VerificationKey> all;
  for (const Place& one : places_) all.insert(all.end(), one.keys.begin(), one.keys.end());
  keys_ = std::make_shared<const KeySet>(std::move(all));
}

void ProviderKeys::finish_round() {
  if (std::exchange(again_, false)) {
    timer_.after(std::chrono::milliseconds(0));
    return;
  }
  under_way_ = false;
  const bool in_trouble =
      std::any_of(places_.begin(), places_.end(), [](const Place& place) { return !place.trouble.empty(); });
  const std::chrono::milliseconds usual = shortened(rule_->refresh, kJitter);
  if (in_trouble) {
    timer_.after(std::min(usual, backoff_.on_failure(random_unit())));
  } else {
    backoff_.on_success();
    timer_.after(usual);
  }
  wake();
}

}  // namespace tailgate
