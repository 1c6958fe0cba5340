#include "gateway/endpoints/answers.h"

#include <memory>
#include <utility>

#include "gateway/io/random.h"
#include "gateway/pure/json.h"
#include "gateway/pure/sse.h"

namespace tailgate {

namespace {

// Long enough that a client which resets its backoff on open does not spin, short enough to come back
// soon; jittered, so that they do not come back together.
constexpr std::chrono::milliseconds kHoldLeast{10000};
constexpr std::chrono::milliseconds kHoldMost{25000};
constexpr int kRetryAfterLeast = 1;
constexpr int kRetryAfterMost = 5;

std::string_view error_word(int status) {
  switch (status) {
    case 401:
      return "Unauthorized";
    case 404:
      return "Not found";
    case 405:
      return "Method not allowed";
    case 422:
      return "Unprocessable entity";
    case 429:
      return "Too many requests";
    case 500:
      return "Internal server error";
    default:
      return "Service unavailable";
  }
}

std::string_view word_of(Unavailable reason) {
  switch (reason) {
    case Unavailable::kRedis:
      return "redis";
    case Unavailable::kLimit:
      return "limit";
    case Unavailable::kDraining:
      return "draining";
    case Unavailable::kAuth:
      return "auth";
  }
  return "";
}

std::string retry_after() {
  return std::to_string(kRetryAfterLeast +
                        static_cast<int>(random_unit() * (kRetryAfterMost - kRetryAfterLeast)));
}

// Says that there is nothing to be had, and is held open for a while.
class UnavailableStream final : public Stream {
 public:
  UnavailableStream(Streams& streams, Visit visit, Unavailable reason)
      : Stream(streams, std::move(visit)), reason_(reason) {}

  void start() {
    begin(Hello::kNone);
    std::string bytes;
    append_event(bytes, "unavailable", "{\"reason\":" + json_quote(word_of(reason_)) + "}");
    send(std::move(bytes), 1);
    remind_at(Loop::now() + kHoldLeast + shortened(kHoldMost - kHoldLeast, 1.0));
  }

 private:
  void on_reminder() override { condemn(EndReason::kHeld); }

  Unavailable reason_;
};

void answer(Services& services, Visit& visit, int status, std::string_view content_type,
            std::string_view body, HttpHeaders extra) {
  ++services.metrics.route(visit.route->name).answered[status];
  HttpHeaders headers = std::move(visit.headers);
  headers.insert(headers.end(), std::make_move_iterator(extra.begin()), std::make_move_iterator(extra.end()));
  if (!body.empty()) headers.emplace_back("Content-Type", content_type);
  headers.emplace_back("Cache-Control", "no-store");
  add_close_if_turning_away(services, headers);
  visit.reply->answer(status, headers, body);
}

}  // namespace

void add_close_if_turning_away(const Services& services, HttpHeaders& headers) {
  if (services.turning_away) headers.emplace_back("Connection", "close");
}

std::string error_body(const Route& route, int status, std::string_view message) {
  return route.error_body.render_json({{"status", std::to_string(status)},
                                       {"error", json_quote(error_word(status))},
                                       {"message", json_quote(message)}});
}

std::string_view unavailable_message(Unavailable reason) {
  switch (reason) {
    case Unavailable::kRedis:
      return "Live updates are not available at the moment; please try again shortly";
    case Unavailable::kLimit:
      return "Too many open streams; close one or try again later";
    case Unavailable::kDraining:
      return "This server is being restarted; please try again shortly";
    case Unavailable::kAuth:
      return "Your sign-in cannot be checked at the moment; please try again shortly";
  }
  return "";
}

void refuse(Services& services, Visit& visit, int status, std::string_view message, HttpHeaders extra) {
  answer(services, visit, status, "application/json", error_body(*visit.route, status, message),
         std::move(extra));
}

void refuse_not_found(Services& services, Visit& visit) {
  refuse(services, visit, 404, visit.route->not_found);
}

void answer_stay_away(Services& services, Visit& visit) {
  answer(services, visit, 204, {}, {}, {});
}

void answer_unavailable(Services& services, Visit visit, Unavailable reason) {
  if (!visit.unavailable_as_sse || visit.route->source == Source::kPages) {
    const int status = reason == Unavailable::kLimit ? 429 : 503;
    refuse(services, visit, status, unavailable_message(reason), {{"Retry-After", retry_after()}});
    return;
  }
  auto stream = std::make_unique<UnavailableStream>(services.streams, std::move(visit), reason);
  UnavailableStream& started = *stream;
  services.streams.add(std::move(stream));
  started.start();
}

void answer_json(Services& services, Visit& visit, std::string_view json) {
  answer(services, visit, 200, "application/json", json, {});
}

}  // namespace tailgate
