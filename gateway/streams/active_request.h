// ActiveRequest: a request that is being served, from its acceptance until it is buried.
//
// Knows its exchange and how it ends; knows no deadline and no source.  Streams owns it.
// No request is destroyed inside a callback: condemn() only marks it with a reason.  A condemned request
// does nothing.  At the end of the turn Streams *buries* it: ends its response and destroys it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gateway/http/exchange.h"
#include "gateway/loop/loop.h"
#include "gateway/streams/drain_schedule.h"
#include "gateway/streams/end_reason.h"
#include "gateway/streams/request.h"
#include "gateway/streams/route_metrics.h"

namespace tailgate {

class Streams;

class ActiveRequest : private Exchange::Observer {
 public:
  ActiveRequest(Streams& streams, Request request);
  ActiveRequest(const ActiveRequest&) = delete;
  ActiveRequest& operator=(const ActiveRequest&) = delete;

  // kClean: bytes that were written are still sent before the response ends.  kCut: the connection is closed.
  enum class Ending : std::uint8_t { kClean, kCut };
  // Ends the request after this turn.  Only the first call counts.
  void condemn(EndReason reason, Ending ending = Ending::kClean);
  bool condemned() const { return phase_ >= Phase::kEnding; }
  // True if the request's event stream has begun and has not been condemned.
  bool open() const { return phase_ == Phase::kOpen; }
  // How many bytes of the response the kernel has not accepted yet.
  std::size_t backlog() const { return request_.exchange->backlog(); }
  const Route& route() const { return *request_.route; }

  virtual DrainPart drain_part() const { return kFirstHalf; }
  // Makes an event stream end at `when`.  Does nothing for other requests, which are answered within seconds.
  virtual void drain_at(TimePoint /*when*/) {}
  // Ends the request now, even if it has no response yet.
  virtual void drain_now() { condemn(EndReason::kDrained); }
  // A link to Redis is up, for the first time or again.
  virtual void on_redis_up() {}
  // Adds this stream's deliveries to `metrics`.  Streams::metrics() gets them only when the stream ends.
  virtual void add_deliveries(RouteMetrics& /*metrics*/) const {}

 protected:
  Streams& streams() { return streams_; }
  Request& request() { return request_; }
  const Request& request() const { return request_; }
  // Condemns this object and returns its request, so that Answers can answer it.
  Request hand_over();
  // Call this when the response of an event stream has begun.
  void set_open() { phase_ = Phase::kOpen; }
  EndReason reason() const { return reason_; }
  Ending ending() const { return ending_; }

 private:
  friend class Streams;
  enum class Phase : std::uint8_t {
    kOpening,   // no response has begun
    kOpen,      // an open event stream
    kEnding,    // a condemned event stream
    kAnswered,  // condemned, and never an event stream
  };

  void on_gone(Exchange::Gone gone) final;
  // Called when an event stream is buried.
  virtual void end_response() {}

  Streams& streams_;
  std::size_t index_ = 0;  // in Streams' list
  EndReason reason_ = EndReason::kAnswered;
  Ending ending_ = Ending::kClean;
  // These two are neighbours in memory: a delivery reads `phase_` and the last member of `request_`.
  Request request_;
  Phase phase_ = Phase::kOpening;
};

}  // namespace tailgate
