// Request: a request with its route, the caller's identity and its exchange.
//
// RequestHandler makes every check that needs no Redis, then moves the Request into the stream or page that
// serves it.  From there it moves into Answers if it gets a page or an error instead of a stream.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "gateway/config/config.h"
#include "gateway/feeds/page.h"
#include "gateway/http/exchange.h"
#include "gateway/loop/loop.h"
#include "gateway/redis/entry_id.h"
#include "gateway/routes/limits.h"
#include "gateway/routes/record.h"
#include "gateway/routes/route.h"

namespace tailgate {

// The request's query and headers in parsed form, and the headers of its answer.
struct RequestParameters {
  bool saw_end = false;           // the client reconnects with the id of a stream's end
  std::optional<EntryId> resume;  // logs: the last entry that the client has
  PageQuery page;                 // pages
  HttpHeaders caller;             // headers for the status endpoint (HTTP records only)
  HttpHeaders headers;            // headers of every answer: CORS, X-Request-ID
};

struct Request {
  std::shared_ptr<const Config> config;
  const Route* route = nullptr;          // a part of `config`
  std::string id;                        // the values of the path's named segments, joined by "/"
  std::string user;                      // the proven user; empty: none
  std::string session;                   // the proven session; empty: none
  TimePoint expires = TimePoint::max();  // when the stream must end because the token expires
  // Null once the stream is open, unless its record is read by HTTP: that needs `caller` again after a loss
  // of Redis.
  std::unique_ptr<RequestParameters> parameters;
  bool unavailable_as_sse = false;
  StreamLimits::Ticket ticket;
  std::unique_ptr<Exchange> exchange;
};

// Views into the request and its route.
inline Segments segments_of(const Request& request) {
  return {.names = request.route->path.names(), .values = request.id};
}

// The name of the request's channel, or the key of its log.
inline std::string source_key(const Request& request) {
  return request.route->key.expand(segments_of(request));
}

// The key of the hash that holds the request's record.
inline std::string record_key(const Request& request) {
  return request.route->record->key.expand(segments_of(request));
}

// True if the caller may see the job that `record` describes.
inline bool may_see(const Request& request, const Record& record) {
  return request.route->who == Who::kAnyone || may_see(record, request.user, request.session);
}

// True if the client has seen the stream's end and the job's record is still terminal.  Then the answer is
// 204; for a log only if the log has no newer entry.
inline bool has_seen_end(const Request& request, const Record* record) {
  return record != nullptr && record->terminal && request.parameters->saw_end;
}

}  // namespace tailgate
