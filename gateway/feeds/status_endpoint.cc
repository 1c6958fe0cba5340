#include "gateway/feeds/status_endpoint.h"

#include <utility>

#include "gateway/base/endpoint.h"
#include "gateway/base/log.h"
#include "gateway/routes/route.h"

namespace tailgate {

namespace {

constexpr std::size_t kMaxBody = 8U << 20;

StatusEndpoint::Answer meaning_of(int status) {
  switch (status) {
    case 200:
      return StatusEndpoint::Answer::kRecord;
    case 401:
      return StatusEndpoint::Answer::kUnauthorized;
    case 403:
    case 404:
      return StatusEndpoint::Answer::kNotFound;
    case 429:
      return StatusEndpoint::Answer::kTooMany;
    default:
      return StatusEndpoint::Answer::kUnavailable;
  }
}

void report(const RecordRule& rule, const std::string& why) {
  static LogValve valve(5, 1);
  if (valve.open(Loop::now())) {
    log_warning("application.failed",
                {{"record", rule.name}, {"why", why}, {"held_back", valve.take_held_back()}});
  }
}

}  // namespace

StatusEndpoint::Question StatusEndpoint::ask(const RecordRule& rule, const std::string& id,
                                             const HttpHeaders& caller, Done done) {
  const auto endpoint = parse_endpoint(rule.target);
  HttpQuestion question{.to = endpoint ? *endpoint : Endpoint{},
                        .path = with_id(rule.path, id),
                        .headers = caller,
                        .max_body_bytes = kMaxBody,
                        .within = rule.timeout};
  if (question.to.unix_path.empty()) question.authority = rule.target;
  question.headers.emplace_back("accept", "application/json");
  return std::make_unique<HttpFetch>(loop_, resolver_, std::move(question),
                                     [&rule, done = std::move(done)](Result<HttpAnswer> result) {
                                       if (!result) {
                                         report(rule, result.error());
                                         done(Answer::kUnavailable, nullptr);
                                         return;
                                       }
                                       const Answer answer = meaning_of(result->status);
                                       if (answer == Answer::kUnavailable)
                                         report(rule, "status " + std::to_string(result->status));
                                       if (answer != Answer::kRecord) {
                                         done(answer, nullptr);
                                         return;
                                       }
                                       const auto record = record_from_json(rule, result->body);
                                       if (!record) {
                                         report(rule, record.error());
                                         done(Answer::kUnavailable, nullptr);
                                       } else {
                                         done(Answer::kRecord, &*record);
                                       }
                                     });
}

}  // namespace tailgate
