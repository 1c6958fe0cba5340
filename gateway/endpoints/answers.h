// Answers: answers a request with a page, an error or `unavailable`, in the format of the request's route.
//
// Knows the error bodies and the headers of each status.  Decides whether `unavailable` is sent as an event
// stream: an EventSource that gets a status other than 200 never reconnects.  Counts the answers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "gateway/endpoints/drain_state.h"
#include "gateway/streams/opening.h"
#include "gateway/streams/request.h"
#include "gateway/streams/streams.h"

namespace tailgate {

// The reasons of `event: unavailable`.
enum class Unavailable { kRedis, kLimit, kMemory, kDraining, kAuth, kApplication, kApplicationLimit };

class Answers {
 public:
  Answers(Streams& streams, const DrainState& drain) : streams_(streams), drain_(drain) {}
  Answers(const Answers&) = delete;
  Answers& operator=(const Answers&) = delete;

  // Answers with `status` and `json`, which may be empty.  An EventSource does not reconnect after a 204.
  void answer(Request request, int status, std::string json = {}, HttpHeaders extra = {});
  // Answers with `status` and the route's error body, which contains `message`.
  void refuse(Request request, int status, std::string_view message, HttpHeaders extra = {});
  // Answers with the status for `access`.  `retry_after` is the application's, or empty.  Precondition:
  // `access` is not kAllowed.
  void refuse(Request request, Access access, std::string retry_after = {});
  // Answers 503 (429 for a limit) with Retry-After.  If the route and the client want an event stream, opens
  // an `unavailable` stream instead.  StreamLimits does not count a request that reached a limit or was
  // refused before the limits were checked.  At most 1,000 `unavailable` streams are open for such requests;
  // the others get the 503 or 429.  Retry-After is `retry_after`, or a few seconds if that is empty.  The
  // stream sends a `retry_after` in seconds as `retry` (Stream::send_retry_after).
  void answer_unavailable(Request request, Unavailable reason, std::string retry_after = {});

 private:
  class UnavailableStream;

  Streams& streams_;
  const DrainState& drain_;
  std::size_t held_over_limit_ = 0;
};

// The sentence in the body of a 405.  nginx sends it too, while the gateway is down.
constexpr std::string_view kMethodMessage = "This address can only be read";
// The sentence in the body of a 503 or 429.  While the gateway is down, nginx sends the sentence for kRedis.
std::string_view unavailable_message(Unavailable reason);
// The error body of `route` with `status` and `message` inserted.
std::string error_body(const Route& route, int status, std::string_view message);

}  // namespace tailgate
