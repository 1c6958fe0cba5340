#include "gateway/feeds/status_endpoint.h"

#include <array>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <utility>

#include "gateway/base/endpoint.h"
#include "gateway/base/log.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::size_t kMaxBody = 8U << 20;
constexpr std::size_t kMostRetryAfterDigits = 9;

// True for whole seconds, or a date as in "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 10.2.3).
bool is_retry_after(const std::string& text) {
  if (text.size() <= kMostRetryAfterDigits) return parse_number<std::uint32_t>(text).has_value();
  // strptime() permits more than the RFC does.  So the date is written again and compared.
  constexpr const char* kFormat = "%a, %d %b %Y %H:%M:%S GMT";
  std::tm date{};
  if (strptime(text.c_str(), kFormat, &date) == nullptr) return false;
  timegm(&date);  // turns 31 February into a day in March, so the two texts differ
  std::array<char, 64> written{};
  return std::strftime(written.data(), written.size(), kFormat, &date) > 0 && text == written.data();
}

StatusAnswer no_answer(const RecordRule& rule, const std::string& why) {
  static LogValve valve(5, 1);
  if (valve.open(Loop::now())) {
    log_warning("application.failed",
                {{"record", rule.name}, {"why", why}, {"held_back", valve.take_held_back()}});
  }
  return {.access = Access::kNoAnswer, .record = {}, .retry_after = {}};
}

StatusAnswer read_answer(const RecordRule& rule, const Result<HttpAnswer>& answer) {
  if (!answer) return no_answer(rule, answer.error());
  const std::string* retry_after = answer->header("retry-after");
  StatusAnswer read;
  if (retry_after != nullptr && is_retry_after(*retry_after)) read.retry_after = *retry_after;
  switch (answer->status) {
    case 200:
      break;
    case 401:
      read.access = Access::kUnauthorized;
      return read;
    case 403:
    case 404:
      read.access = Access::kNoRecord;
      return read;
    case 429:
      read.access = Access::kTooMany;
      return read;
    default:
      read.access = no_answer(rule, "status " + std::to_string(answer->status)).access;
      return read;
  }
  auto record = record_from_json(rule, answer->body);
  if (!record) return no_answer(rule, record.error());
  read.access = Access::kAllowed;
  read.record = std::move(*record);
  return read;
}

}  // namespace

StatusEndpoint::Question StatusEndpoint::ask(const RecordRule& rule, std::string path,
                                             const HttpHeaders& caller, Done done) {
  const auto endpoint = parse_endpoint(rule.target);
  HttpQuestion question{.to = endpoint ? *endpoint : Endpoint{},
                        .path = std::move(path),
                        .headers = caller,
                        .max_body_bytes = kMaxBody,
                        .within = rule.timeout};
  if (question.to.unix_path.empty()) question.authority = rule.target;
  question.headers.emplace_back("accept", "application/json");
  auto on_answer = [&rule, done = std::move(done)](const Result<HttpAnswer>& answer) {
    done(read_answer(rule, answer));
  };
  return std::make_unique<HttpFetch>(loop_, resolver_, std::move(question), std::move(on_answer));
}

}  // namespace tailgate
