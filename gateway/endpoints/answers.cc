#include "gateway/endpoints/answers.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "gateway/loop/random.h"
#include "gateway/streams/stream.h"
#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// How long an `unavailable` stream stays open: long, because some clients reset their backoff when a stream
// opens, and random, so that clients do not reconnect together.
constexpr std::chrono::milliseconds kHoldLeast{10000};
constexpr std::chrono::milliseconds kHoldMost{25000};
// At most this many `unavailable` streams are open for requests without a ticket.  StreamLimits does not
// count these streams.
constexpr std::size_t kMostHeldOverLimit = 1000;
constexpr int kRetryAfterLeast = 1;
constexpr int kRetryAfterMost = 5;

std::string_view error_word(int status) {
  constexpr std::pair<int, std::string_view> kWords[] = {
      {401, "Unauthorized"},         {404, "Not found"},         {405, "Method not allowed"},
      {422, "Unprocessable entity"}, {429, "Too many requests"}, {500, "Internal server error"}};
  const auto* const found = std::ranges::find(kWords, status, &std::pair<int, std::string_view>::first);
  return found != std::end(kWords) ? found->second : "Service unavailable";
}

// The word and the sentence of each Unavailable, in the order of the enumerators.
struct UnavailableTexts {
  std::string_view word;
  std::string_view sentence;
};
constexpr std::array<UnavailableTexts, 7> kUnavailableTexts = {{
    {"redis", "Live updates are not available at the moment; please try again shortly"},
    {"limit", "Too many open streams; close one or try again later"},
    {"limit", "This server is at its limit; please try again shortly"},
    {"draining", "This server is being restarted; please try again shortly"},
    {"auth", "Your sign-in cannot be checked at the moment; please try again shortly"},
    {"application", "The application gives no usable answer at the moment; please try again shortly"},
    {"limit", "The application limits how often it is asked; please try again later"},
}};

const UnavailableTexts& texts_of(Unavailable reason) {
  return kUnavailableTexts.at(static_cast<std::size_t>(reason));
}

std::string random_retry_after() {
  return std::to_string(kRetryAfterLeast +
                        static_cast<int>(random_unit() * (kRetryAfterMost - kRetryAfterLeast)));
}

}  // namespace

class Answers::UnavailableStream final : public Stream {
 public:
  UnavailableStream(Streams& streams, Request request, std::size_t& held_over_limit)
      : Stream(streams, std::move(request)),
        held_over_limit_(held_over_limit),
        has_ticket_(Stream::request().ticket != nullptr) {
    if (!has_ticket_) ++held_over_limit_;
  }
  ~UnavailableStream() override {
    if (!has_ticket_) --held_over_limit_;
  }

  // An EventSource cannot read the header Retry-After, so a delay in it becomes a `retry`.
  void start(Unavailable reason, std::string_view retry_after) {
    begin(FirstMessages::kNone);
    send_retry_after(retry_after);
    send_event("unavailable", json_object({{"reason", json_quote(texts_of(reason).word)}}));
    remind_at(Loop::now() + kHoldLeast + shortened(kHoldMost - kHoldLeast, 1.0));
  }

 private:
  void on_reminder() override { condemn(EndReason::kUnavailable); }
  DrainPart drain_part() const override { return kLastTwentieth; }

  std::size_t& held_over_limit_;
  bool has_ticket_;
};

std::string error_body(const Route& route, int status, std::string_view message) {
  return route.error_body.render_json({{"status", std::to_string(status)},
                                       {"error", json_quote(error_word(status))},
                                       {"message", json_quote(message)}});
}

std::string_view unavailable_message(Unavailable reason) {
  return texts_of(reason).sentence;
}

void Answers::answer(Request request, int status, std::string json, HttpHeaders extra) {
  ++streams_.metrics().of(request.route->name).answered[status];
  HttpHeaders headers = std::move(request.parameters->headers);
  headers.insert(headers.end(), std::make_move_iterator(extra.begin()), std::make_move_iterator(extra.end()));
  if (!json.empty()) headers.emplace_back("Content-Type", "application/json");
  headers.emplace_back("Cache-Control", "no-store");
  drain_.add_close(headers);
  request.exchange->answer(status, headers, std::move(json));
}

void Answers::refuse(Request request, int status, std::string_view message, HttpHeaders extra) {
  std::string body = error_body(*request.route, status, message);
  answer(std::move(request), status, std::move(body), std::move(extra));
}

void Answers::refuse(Request request, Access access, std::string retry_after) {
  switch (access) {
    case Access::kAllowed:
    case Access::kNoRecord:
    case Access::kForeign:
      break;
    case Access::kUnauthorized:
      return refuse(std::move(request), 401, "Sign in to follow this job", {{"WWW-Authenticate", "Bearer"}});
    case Access::kTooMany:
      return answer_unavailable(std::move(request), Unavailable::kApplicationLimit, std::move(retry_after));
    case Access::kNoAnswer:
      return answer_unavailable(std::move(request), Unavailable::kApplication, std::move(retry_after));
    case Access::kUnavailable:
      return answer_unavailable(std::move(request), Unavailable::kRedis);
  }
  const std::string& message = request.route->not_found;
  refuse(std::move(request), 404, message);
}

void Answers::answer_unavailable(Request request, Unavailable reason, std::string retry_after) {
  const bool may_hold = request.ticket != nullptr || held_over_limit_ < kMostHeldOverLimit;
  if (request.unavailable_as_sse && request.route->source != Source::kPages && may_hold) {
    streams_.add(std::make_unique<UnavailableStream>(streams_, std::move(request), held_over_limit_))
        .start(reason, retry_after);
    return;
  }
  const bool is_limit = reason == Unavailable::kLimit || reason == Unavailable::kApplicationLimit;
  if (retry_after.empty()) retry_after = random_retry_after();
  refuse(std::move(request), is_limit ? 429 : 503, unavailable_message(reason),
         {{"Retry-After", std::move(retry_after)}});
}

}  // namespace tailgate
