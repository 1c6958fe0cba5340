// RequestHandler: makes the checks that need no Redis for each request of the stream listener.  Then starts
// the request's stream or page.
//
// The order of the checks: route 404, method 405, identity 401, parameters 422, memory 503, limits 429,
// draining 503.  The Opening then checks Redis (503) and the record (404).  A user or a session comes only
// from the sealed identity.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "gateway/auth/identity_seal.h"
#include "gateway/auth/refusal.h"
#include "gateway/base/log.h"
#include "gateway/config/config.h"
#include "gateway/endpoints/answers.h"
#include "gateway/endpoints/channel_stream.h"
#include "gateway/endpoints/drain_state.h"
#include "gateway/endpoints/log_page.h"
#include "gateway/endpoints/log_stream.h"
#include "gateway/routes/limits.h"
#include "gateway/streams/memory_budget.h"
#include "gateway/streams/streams.h"

namespace tailgate {

class RequestHandler {
 public:
  struct Resources {
    const std::shared_ptr<const Config>& config;  // the current configuration: a reload replaces it
    const IdentitySeal& seal;
    const MemoryBudget& memory;
    const DrainState& drain;
    Streams& streams;
    Answers& answers;
    ChannelStream::Resources events;
    LogStream::Resources logs;
    LogPage::Resources pages;
  };

  explicit RequestHandler(const Resources& resources) : resources_(resources) {}
  RequestHandler(const RequestHandler&) = delete;
  RequestHandler& operator=(const RequestHandler&) = delete;

  void handle(std::unique_ptr<Exchange> exchange);
  void write_metrics(MetricsText& out) const;

 private:
  void answer_preflight(Request& request) const;
  // Functions that return bool return false if they have answered the request.
  bool identify(Request& request);
  bool read_parameters(Request& request, std::string_view query);
  bool take_ticket(Request& request);
  std::string address_of(const Request& request);
  void refuse_identity(Request request, Refusal refusal);
  void serve(Request request);

  Resources resources_;
  StreamLimits limits_;
  LogValve address_errors_{1, 1.0 / 60};
  std::uint64_t unrouted_ = 0;  // requests that matched no route
};

}  // namespace tailgate
