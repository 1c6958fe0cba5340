#include "gateway/endpoints/answers.h"

#include <memory>
#include <utility>

#include "gateway/loop/random.h"
#include "gateway/routes/sse.h"
#include "gateway/text/json.h"

namespace tailgate {

namespace {

// Long enough that a client which resets its backoff on open does not spin, short enough to come back
// soon; jittered, so that they do not come back together.
constexpr std::chrono::milliseconds kHoldLeast{10000};
constexpr std::chrono::milliseconds kHoldMost{25000};
// A flood must not pass the limits by way of the answers that say so.
constexpr std::size_t kMostHeldWithoutPlace = 1000;
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
    case Unavailable::kMemory:
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
  UnavailableStream(Services& services, Request request, Unavailable reason)
      : Stream(services.streams, std::move(request)),
        services_(services),
        has_place_(Stream::request().ticket.taken()),
        reason_(reason) {
    if (!has_place_) ++services_.held_without_place;
  }
  ~UnavailableStream() override {
    if (!has_place_) --services_.held_without_place;
  }

  void start() {
    begin(Hello::kNone);
    std::string bytes;
    append_event(bytes, "unavailable", json_object({{"reason", json_quote(word_of(reason_))}}));
    send(std::move(bytes), 1);
    remind_at(Loop::now() + kHoldLeast + shortened(kHoldMost - kHoldLeast, 1.0));
  }

 private:
  void on_reminder() override { condemn(EndReason::kHeld); }
  DrainTurn drain_turn() const override { return DrainTurn::kLast; }

  Services& services_;
  bool has_place_;
  Unavailable reason_;
};

void answer(Services& services, Request request, int status, std::string_view content_type, std::string body,
            HttpHeaders extra) {
  ++services.metrics.of(request.route->name).answered[status];
  HttpHeaders headers = std::move(request.parameters->headers);
  headers.insert(headers.end(), std::make_move_iterator(extra.begin()), std::make_move_iterator(extra.end()));
  if (!body.empty()) headers.emplace_back("Content-Type", content_type);
  headers.emplace_back("Cache-Control", "no-store");
  add_close_if_turning_away(services, headers);
  request.exchange->answer(status, headers, std::move(body));
}

}  // namespace

void add_close_if_turning_away(const Services& services, HttpHeaders& headers) {
  if (services.turning_away || services.handing_over) headers.emplace_back("Connection", "close");
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
    case Unavailable::kMemory:
      return "This server is at its limit; please try again shortly";
    case Unavailable::kDraining:
      return "This server is being restarted; please try again shortly";
    case Unavailable::kAuth:
      return "Your sign-in cannot be checked at the moment; please try again shortly";
  }
  return "";
}

void refuse(Services& services, Request request, int status, std::string_view message, HttpHeaders extra) {
  std::string body = error_body(*request.route, status, message);
  answer(services, std::move(request), status, "application/json", std::move(body), std::move(extra));
}

void refuse_not_found(Services& services, Request request) {
  const std::string& message = request.route->not_found;
  refuse(services, std::move(request), 404, message);
}

void answer_no_content(Services& services, Request request) {
  answer(services, std::move(request), 204, {}, {}, {});
}

void answer_unavailable(Services& services, Request request, Unavailable reason) {
  const bool may_hold = request.ticket.taken() || services.held_without_place < kMostHeldWithoutPlace;
  if (!request.unavailable_as_sse || request.route->source == Source::kPages || !may_hold) {
    const int status = reason == Unavailable::kLimit ? 429 : 503;
    refuse(services, std::move(request), status, unavailable_message(reason),
           {{"Retry-After", retry_after()}});
    return;
  }
  auto stream = std::make_unique<UnavailableStream>(services, std::move(request), reason);
  UnavailableStream& started = *stream;
  services.streams.add(std::move(stream));
  started.start();
}

void answer_json(Services& services, Request request, std::string json) {
  answer(services, std::move(request), 200, "application/json", std::move(json), {});
}

}  // namespace tailgate
