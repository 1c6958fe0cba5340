// Answers: whatever a request gets that is not what it asked for, in its route's own style.
//
// Knows the error bodies, the headers that go with a status, and when "unavailable"
// is said as an event stream: an EventSource that gets one non-200 is dead.
#pragma once

#include <string>
#include <string_view>

#include "gateway/streams/services.h"
#include "gateway/streams/stream.h"

namespace tailgate {

// Why the gateway cannot serve: the reason of `event: unavailable`.
enum class Unavailable { kRedis, kLimit, kMemory, kDraining, kAuth };

// Answers with `status` and the route's error body around `message`.
void refuse(Services& services, Request request, int status, std::string_view message,
            HttpHeaders extra = {});
void refuse_not_found(Services& services, Request request);
// 204: an EventSource that gets it does not come back.
void answer_no_content(Services& services, Request request);

// 503 (429 for a limit) with Retry-After, or, as the route and the client have it, a stream that says so
// and ends a while later.  Of the requests that have no place among the streams only so many are held.
void answer_unavailable(Services& services, Request request, Unavailable reason);

// A JSON answer with status 200.
void answer_json(Services& services, Request request, std::string json);

// A kept-alive connection to a process that is going would bring the next request here as well.
void add_close_if_turning_away(const Services& services, HttpHeaders& headers);

// The sentence that goes with a 503 of ours, also for nginx to say in our place.
std::string_view unavailable_message(Unavailable reason);
// The error body of `route` around a status and a message.
std::string error_body(const Route& route, int status, std::string_view message);

}  // namespace tailgate
