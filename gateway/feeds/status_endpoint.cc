#include "gateway/feeds/status_endpoint.h"

#include <optional>
#include <utility>

#include "gateway/base/endpoint.h"
#include "gateway/base/log.h"
#include "gateway/routes/route.h"

namespace tailgate {

namespace {

constexpr std::size_t kMaxBody = 8U << 20;

Access unavailable(const RecordRule& rule, const std::string& why) {
  static LogValve valve(5, 1);
  if (valve.open(Loop::now())) {
    log_warning("application.failed",
                {{"record", rule.name}, {"why", why}, {"held_back", valve.take_held_back()}});
  }
  return Access::kUnavailable;
}

// Sets `record` if the caller may see the job.
Access read_answer(const RecordRule& rule, const Result<HttpAnswer>& answer, std::optional<Record>& record) {
  if (!answer) return unavailable(rule, answer.error());
  switch (answer->status) {
    case 200:
      break;
    case 401:
      return Access::kUnauthorized;
    case 403:
    case 404:
      return Access::kNoRecord;
    case 429:
      return Access::kTooMany;
    default:
      return unavailable(rule, "status " + std::to_string(answer->status));
  }
  auto read = record_from_json(rule, answer->body);
  if (!read) return unavailable(rule, read.error());
  record = std::move(*read);
  return Access::kAllowed;
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
  auto on_answer = [&rule, done = std::move(done)](const Result<HttpAnswer>& answer) {
    std::optional<Record> record;
    const Access access = read_answer(rule, answer, record);
    done(access, record ? &*record : nullptr);
  };
  return std::make_unique<HttpFetch>(loop_, resolver_, std::move(question), std::move(on_answer));
}

}  // namespace tailgate
