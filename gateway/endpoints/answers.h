// Answers: gives a request an answer that is no stream of its route, in the route's own style.
//
// Knows the error bodies, the headers of each status, and when `unavailable` is sent as an event stream: an
// EventSource that gets a status other than 200 gives up for good.  Counts what it answers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "gateway/endpoints/drain_state.h"
#include "gateway/streams/opening.h"
#include "gateway/streams/request.h"
#include "gateway/streams/streams.h"

namespace tailgate {

// Why the gateway cannot serve: the reason of `event: unavailable`.
enum class Unavailable { kRedis, kLimit, kMemory, kDraining, kAuth };

class Answers {
 public:
  Answers(Streams& streams, const DrainState& drain) : streams_(streams), drain_(drain) {}
  Answers(const Answers&) = delete;
  Answers& operator=(const Answers&) = delete;

  // A status and a body of JSON, or none.  An EventSource that gets a 204 does not come back.
  void answer(Request request, int status, std::string json = {}, HttpHeaders extra = {});
  // `status`, with the route's error body around `message`.
  void refuse(Request request, int status, std::string_view message, HttpHeaders extra = {});
  // The status that belongs to `access`.  Precondition: it is not kAllowed.
  void refuse(Request request, Access access);
  // 503 (429 for a limit) with Retry-After; or an event stream that says so and ends some seconds later,
  // where route and client ask for it.  At most 1,000 requests without a place among the streams are held so.
  void answer_unavailable(Request request, Unavailable reason);

 private:
  class UnavailableStream;

  Streams& streams_;
  const DrainState& drain_;
  std::size_t held_without_place_ = 0;
};

// The sentence of a 503; nginx uses it too, while the gateway is down.
std::string_view unavailable_message(Unavailable reason);
// The error body of `route` around a status and a message.
std::string error_body(const Route& route, int status, std::string_view message);

}  // namespace tailgate
