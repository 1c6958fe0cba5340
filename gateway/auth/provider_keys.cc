#include "gateway/auth/provider_keys.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/loop/random.h"
#include "gateway/loop/small_file.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// Each interval is shortened at random by up to this share, so that many gateways do not fetch at the same
// moment.
constexpr double kJitter = 0.1;

Result<ParsedJwks> parse_fetched(const Result<std::string>& text) {
  return text ? parse_jwks(*text) : Error{text.error()};
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
  add_sources({});
  timer_.after(std::chrono::milliseconds(0));
}

void ProviderKeys::replace_rule(const ProviderRule& rule) {
  rule_ = &rule;
  for (Source& source : sources_) source.fetch.reset();  // its callback refers to the old list
  add_sources(std::exchange(sources_, {}));
  gather_keys();
}

// Makes a source for each text of the rule, or takes it from `before`.
void ProviderKeys::add_sources(std::vector<Source> before) {
  for (const std::string& text : rule_->jwks) {
    const auto known = std::ranges::find(before, text, &Source::text);
    if (known != before.end()) {
      sources_.push_back(std::move(*known));
      continue;
    }
    auto address = parse_jwks_source(text);
    if (!address) std::abort();  // config/providers.cc has checked it
    sources_.emplace_back();
    sources_.back().text = text;
    sources_.back().address = std::move(*address);
  }
}

void ProviderKeys::gather_keys() {
  std::vector<VerificationKey> all;
  for (const Source& each : sources_) all.insert(all.end(), each.keys.begin(), each.keys.end());
  const bool has_answer = std::ranges::any_of(sources_, &Source::has_answered);
  keys_ = has_answer ? std::make_shared<const KeySet>(std::move(all)) : nullptr;
}

bool ProviderKeys::is_complete() const {
  return std::ranges::all_of(sources_, &Source::has_answered);
}

std::string ProviderKeys::why_failed() const {
  for (const Source& source : sources_) {
    if (!source.error.empty()) return source.error;
  }
  return {};
}

KeyWait ProviderKeys::refetch(std::function<void()> done) {
  const bool is_first_round = is_running_ && keys_ == nullptr;
  const TimePoint now = Loop::now();
  if (!is_first_round && now >= next_refetch_) {
    next_refetch_ = now + timing_.refetch_every;
    // The issuer may have answered the running round before it published the new key: fetch once more.
    is_repeated_ = is_running_;
    if (!is_running_) timer_.after(std::chrono::milliseconds(0));
    is_running_ = true;
  }
  if (!is_running_) return nullptr;
  auto wait = std::make_shared<const std::function<void()>>(std::move(done));
  waiting_.push_back(wait);
  return wait;
}

void ProviderKeys::read_again() {
  is_repeated_ = false;  // each answer of the new round is newer than this call
  is_reread_ = true;
  begin_round();
}

void ProviderKeys::notify_waiters() {
  const auto waiting = std::exchange(waiting_, {});
  for (const auto& weak : waiting) {
    if (const KeyWait wait = weak.lock()) (*wait)();
  }
}

// Drops the fetches of a round that is still running.
void ProviderKeys::begin_round() {
  timer_.cancel();
  is_running_ = true;
  fetches_left_ = sources_.size();
  for (Source& source : sources_) fetch(source);
}

void ProviderKeys::fetch(Source& source) {
  const JwksSource& address = source.address;
  if (!address.file.empty()) return on_fetched(source, read_small_file(address.file, kMaxJwksBytes));
  auto on_answer = [this, &source](Result<HttpAnswer> answer) {
    source.fetch.reset();
    if (!answer) {
      on_fetched(source, Error{answer.error()});
    } else if (answer->status != 200) {
      on_fetched(source, Error{"it answers with status " + std::to_string(answer->status)});
    } else {
      on_fetched(source, std::move(answer->body));
    }
  };
  source.fetch = std::make_unique<HttpFetch>(loop_, resolver_,
                                             HttpQuestion{.to = address.server,
                                                          .path = address.path,
                                                          .authority = address.authority,
                                                          .headers = {{"Accept", "application/json"}},
                                                          .max_body_bytes = kMaxJwksBytes,
                                                          .within = timing_.fetch},
                                             std::move(on_answer));
}

void ProviderKeys::on_fetched(Source& source, const Result<std::string>& text) {
  auto parsed = parse_fetched(text);
  if (parsed) {
    accept(source, std::move(*parsed));
  } else if (is_reread_ || source.error != parsed.error()) {
    log_warning("keys.failed", {{"provider", rule_->name},
                                {"from", source.text},
                                {"why", parsed.error()},
                                {"has_old_keys", !source.keys.empty()}});
    source.error = parsed.error();
  }
  if (--fetches_left_ == 0) end_round();
}

void ProviderKeys::accept(Source& source, ParsedJwks parsed) {
  const auto before = keys_;
  const std::string left_out = join(parsed.skipped, "; ");
  source.keys = std::move(parsed.keys);
  // The first answer of a source is logged even if it holds no key and another source has keys.
  const bool is_first = !std::exchange(source.has_answered, true);
  gather_keys();
  const bool is_new = is_first || before->fingerprint() != keys_->fingerprint();
  const bool has_recovered = !std::exchange(source.error, {}).empty();
  const bool leaves_out_others = std::exchange(source.left_out, left_out) != left_out;
  const bool is_asked_for = is_reread_ && (!left_out.empty() || source.keys.empty());
  if (!is_new && !has_recovered && !leaves_out_others && !is_asked_for) return;
  if (source.keys.empty()) {
    log_warning("keys.empty", {{"provider", rule_->name}, {"from", source.text}, {"left_out", left_out}});
  } else {
    log_info("keys.refreshed", {{"provider", rule_->name},
                                {"from", source.text},
                                {"keys", source.keys.size()},
                                {"left_out", left_out}});
  }
}

void ProviderKeys::end_round() {
  is_reread_ = false;
  if (std::exchange(is_repeated_, false)) return timer_.after(std::chrono::milliseconds(0));
  is_running_ = false;
  // Retries early if a source has failed, or if no source has a usable key.  Does not retry early if only
  // some sources have no usable key, because such a source may have been retired for good.
  const bool has_failed = std::ranges::any_of(sources_, [](const Source& one) { return !one.error.empty(); });
  const bool has_no_key = keys_ == nullptr || keys_->keys().empty();
  const std::chrono::milliseconds refresh = shortened(rule_->refresh, kJitter);
  if (has_failed || has_no_key) {
    timer_.after(std::min(refresh, backoff_.on_failure(random_unit())));
  } else {
    backoff_.on_success();
    timer_.after(refresh);
  }
  notify_waiters();
}

}  // namespace tailgate
