#include "gateway/endpoints/auth.h"

#include <chrono>
#include <utility>

#include "gateway/auth/refusal.h"
#include "gateway/endpoints/answers.h"
#include "gateway/endpoints/intake.h"

namespace tailgate {

namespace {

WallTime wall_time() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

Target asked_for(const Reply& reply) {
  return split_target(reply.header("X-Tailgate-Uri").value_or(""));
}

}  // namespace

Auth::Auth(const Loop& loop, Services& services, Keys& keys)
    : services_(services),
      keys_(keys),
      judge_(std::make_unique<Judge>(keys)),
      clean_up_(loop, [this] { waiting_.remove_if([](const Waiting& waiting) { return waiting.over; }); }) {
}

void Auth::on_reload() {
  judge_ = std::make_unique<Judge>(keys_);
}

void Auth::take_in(std::unique_ptr<Reply> reply) {
  if (split_target(reply->target()).path != "/auth") {
    reply->answer(404, {{"Content-Type", "application/json"}}, R"({"detail":"Not found"})");
    return;
  }
  const std::string_view method = reply->header("X-Tailgate-Method").value_or("");
  const Target target = asked_for(*reply);
  const auto match = services_.config->routes.match(target.path);
  // No route and other methods are the stream endpoint's to answer: 404 and 405 come before 401.
  const bool asks = method == "GET" || (method == "HEAD" && match && match->route->source == Source::kPages);
  if (!match || !asks) {
    answer(*reply, 204, "open", {});
    return;
  }
  const Verdict verdict = judge(*reply, *match, target.query, Judge::UnknownKid::kReport);
  if (verdict.kind == Verdict::Kind::kUnknownKid || verdict.kind == Verdict::Kind::kNoKeys) {
    // The keys may be on their way; nginx waits.
    Waiting& waiting = waiting_.emplace_back(clean_up_);
    waiting.wait = keys_.refetch(verdict.provider, [this, &waiting] { on_keys(waiting); });
    if (waiting.wait != nullptr) {
      waiting.reply = std::move(reply);
      waiting.reply->watch(waiting);
      return;
    }
    waiting_.pop_back();
    answer(*reply, *match, judge(*reply, *match, target.query, Judge::UnknownKid::kRefuse));
    return;
  }
  answer(*reply, *match, verdict);
}

void Auth::on_keys(Waiting& waiting) {
  if (std::exchange(waiting.over, true)) return;
  clean_up_.ask();
  const Target target = asked_for(*waiting.reply);
  // A reload may have taken the route away meanwhile.
  if (const auto match = services_.config->routes.match(target.path)) {
    answer(*waiting.reply, *match, judge(*waiting.reply, *match, target.query, Judge::UnknownKid::kRefuse));
  } else {
    answer(*waiting.reply, 204, "open", {});
  }
}

Verdict Auth::judge(const Reply& reply, const RouteMatch& match, std::string_view query,
                    Judge::UnknownKid unknown_kid) {
  const RequestParts parts{.query = query, .header = [&](const char* name) { return reply.header(name); }};
  const std::uint64_t before = judge_->verifications();
  Verdict verdict = judge_->judge(*match.route, parts, wall_time(), unknown_kid);
  services_.metrics.token_verifications += judge_->verifications() - before;
  return verdict;
}

void Auth::answer(Reply& reply, const RouteMatch& match, const Verdict& verdict) {
  switch (verdict.kind) {
    case Verdict::Kind::kOk:
      answer(reply, 204, "ok",
             {{"X-Tailgate-Identity", services_.seal.seal(verdict.identity, match.route->name, match.id,
                                                          wall_time() + services_.config->identity_life)}});
      return;
    case Verdict::Kind::kOpen:
      answer(reply, 204, "open", {});
      return;
    case Verdict::Kind::kRefused:
      answer(reply, 401, word_of(verdict), {{"WWW-Authenticate", challenge_for(verdict.refusal)}});
      return;
    case Verdict::Kind::kNoKeys:
    case Verdict::Kind::kUnknownKid:
      answer(reply, 503, word_of(verdict), {{"Retry-After", "5"}});
      return;
  }
}

void Auth::answer(Reply& reply, int status, const std::string& verdict, HttpHeaders headers) {
  ++services_.metrics.verdicts[verdict];
  headers.emplace_back("X-Tailgate-Verdict", verdict);
  add_close_if_turning_away(services_, headers);
  reply.answer(status, headers, "");
}

}  // namespace tailgate
