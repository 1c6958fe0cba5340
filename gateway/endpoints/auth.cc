#include "gateway/endpoints/auth.h"

#include <chrono>
#include <utility>

#include "gateway/auth/refusal.h"
#include "gateway/endpoints/target.h"

namespace tailgate {

namespace {

WallTime wall_time() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

// The target of the request for which nginx sent its auth_request.
Target target_of(const Exchange& exchange) {
  return split_target(exchange.header("X-Tailgate-Uri").value_or(""));
}

}  // namespace

Auth::Auth(const Loop& loop, const std::shared_ptr<const Config>& config, const IdentitySeal& seal,
           const DrainState& drain, Keys& keys)
    : config_(config),
      seal_(seal),
      drain_(drain),
      keys_(keys),
      authenticator_([&keys](const std::string& name) { return keys.provider(name); }),
      clean_up_(loop, [this] { waiting_.remove_if([](const Waiting& waiting) { return waiting.over; }); }) {
}

void Auth::handle_request(std::unique_ptr<Exchange> exchange) {
  if (split_target(exchange->target()).path != "/auth")
    return exchange->answer(404, {{"Content-Type", "application/json"}}, R"({"detail":"Not found"})");
  const std::string_view method = exchange->header("X-Tailgate-Method").value_or("");
  const Target target = target_of(*exchange);
  const auto match = find_route(config_->routes, target.path);
  // A request that matches no route or has another method needs no verdict: the stream listener answers it
  // without one (404, 405, or the answer to a preflight).
  const bool needs_verdict =
      method == "GET" || (method == "HEAD" && match && match->route->source == Source::kPages);
  if (!match || !needs_verdict) return answer(*exchange, 204, "open", {});
  Verdict verdict = authenticate(*exchange, *match, target.query, Authenticator::UnknownKid::kReport);
  if (verdict.kind == Verdict::Kind::kNoKeys) {
    // nginx waits for the answer while the provider's keys are fetched.
    Waiting& waiting = waiting_.emplace_back(clean_up_);
    waiting.wait = keys_.refetch(verdict.provider, [this, &waiting] { on_keys(waiting); });
    if (waiting.wait != nullptr) {
      waiting.exchange = std::move(exchange);
      waiting.exchange->watch(waiting);
      return;
    }
    waiting_.pop_back();
    verdict = authenticate(*exchange, *match, target.query, Authenticator::UnknownKid::kRefuse);
  }
  answer(*exchange, *match, verdict);
}

void Auth::on_keys(Waiting& waiting) {
  if (std::exchange(waiting.over, true)) return;
  clean_up_.ask();
  const Target target = target_of(*waiting.exchange);
  // A reload may have removed the route in the meantime.
  if (const auto match = find_route(config_->routes, target.path)) {
    answer(*waiting.exchange, *match,
           authenticate(*waiting.exchange, *match, target.query, Authenticator::UnknownKid::kRefuse));
  } else {
    answer(*waiting.exchange, 204, "open", {});
  }
}

Verdict Auth::authenticate(const Exchange& exchange, const RouteMatch& match, std::string_view query,
                           Authenticator::UnknownKid unknown_kid) {
  const RequestParts parts{.query = query,
                           .cookies = exchange.joined_header("Cookie").value_or(""),
                           .header = [&](const char* name) { return exchange.header(name); }};
  return authenticator_.authenticate(*match.route, parts, wall_time(), unknown_kid);
}

void Auth::answer(Exchange& exchange, const RouteMatch& match, const Verdict& verdict) {
  switch (verdict.kind) {
    case Verdict::Kind::kOk:
      return answer(exchange, 204, "ok",
                    {{"X-Tailgate-Identity", seal_.seal(verdict.identity, match.route->name, match.id,
                                                        wall_time() + config_->identity_life)}});
    case Verdict::Kind::kOpen:
      return answer(exchange, 204, "open", {});
    case Verdict::Kind::kRefused:
      note_refusal(verdict);
      return answer(exchange, 401, word_of(verdict), {{"WWW-Authenticate", challenge_for(verdict.refusal)}});
    case Verdict::Kind::kNoKeys:
      return answer(exchange, 503, word_of(verdict), {{"Retry-After", "5"}});
  }
}

void Auth::answer(Exchange& exchange, int status, const std::string& verdict, HttpHeaders headers) {
  ++verdicts_[verdict];
  headers.emplace_back("X-Tailgate-Verdict", verdict);
  drain_.add_close(headers);
  exchange.answer(status, headers, "");
}

// A request without a token is usual, so it is not logged.  Only verdicts_ counts it.
void Auth::note_refusal(const Verdict& verdict) {
  if (verdict.refusal == Refusal::kMissing) return;
  const std::string reason(word_of(verdict.refusal));
  RefusedTokens& refused = refused_[RefusalLabels{verdict.provider, reason, verdict.claim}];
  ++refused.count;
  if (!refused.valve.open(Loop::now())) return;
  log_info("token.refused", {{"provider", verdict.provider},
                             {"reason", reason},
                             {"claim", verdict.claim},
                             {"held_back", refused.valve.take_held_back()}});
}

void Auth::write_metrics(MetricsText& out) const {
  out.counter("tailgate_token_verifications_total",
              "Tokens that were verified, not found among the verdicts that are kept.",
              authenticator_.verifications());
  out.begin("tailgate_auth_verdicts_total", MetricsText::Type::kCounter, "Answers of /auth, by verdict.");
  for (const auto& [verdict, count] : verdicts_) out.sample(MetricsText::label("verdict", verdict), count);
  out.begin("tailgate_tokens_refused_total", MetricsText::Type::kCounter,
            "Tokens that /auth refused, by provider, reason and the claim at fault.");
  for (const auto& [labels, refused] : refused_) {
    out.sample(MetricsText::label("provider", labels[0]) + ',' + MetricsText::label("reason", labels[1]) +
                   ',' + MetricsText::label("claim", labels[2]),
               refused.count);
  }
}

}  // namespace tailgate
