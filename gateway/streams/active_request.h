// ActiveRequest: a request that is being served, from its acceptance until it is buried.
//
// Knows its exchange and how it ends; knows no deadline and no source.  Streams owns it.
// Nothing dies inside a callback that may be iterating: condemn() marks the request with a reason.  From then
// on it sends nothing and reacts to nothing, and Streams buries it after the loop's turn.
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

  // kClean: the bytes that are written still leave, then the response ends.  kCut: the connection closes.
  enum class Ending : std::uint8_t { kClean, kCut };
  // Ends the request after this turn.  The first reason stays.
  void condemn(EndReason reason, Ending ending = Ending::kClean);
  bool condemned() const { return phase_ >= Phase::kEnding; }
  // Has its event stream begun, and not ended?
  bool open() const { return phase_ == Phase::kOpen; }
  // How many bytes of the response wait in our own memory.
  std::size_t backlog() const { return request_.exchange->backlog(); }
  const Route& route() const { return *request_.route; }

  virtual DrainPart drain_part() const { return kFirstHalf; }
  // Asks an event stream to end at `when`.  A request that has not become one is answered within seconds.
  virtual void drain_at(TimePoint /*when*/) {}
  // Ends now; a request that has no response yet ends without one.
  virtual void drain_now() { condemn(EndReason::kDrained); }
  // A link to Redis is up, for the first time or again.
  virtual void on_redis_up() {}
  // Adds deliveries that are not in `metrics` yet, because they are counted when a stream ends.
  virtual void add_deliveries(RouteMetrics& /*metrics*/) const {}

 protected:
  Streams& streams() { return streams_; }
  Request& request() { return request_; }
  const Request& request() const { return request_; }
  // Returns the request, so that Answers can answer it, and ends.
  Request hand_over();
  // The exchange's response has begun: this is an open stream.
  void set_open() { phase_ = Phase::kOpen; }
  EndReason reason() const { return reason_; }
  Ending ending() const { return ending_; }

 private:
  friend class Streams;
  enum class Phase : std::uint8_t {
    kOpening,   // no response has begun
    kOpen,      // an event stream
    kEnding,    // a condemned event stream
    kAnswered,  // condemned, and never an event stream
  };

  void on_gone(Exchange::Gone gone) final;
  // An open stream is being buried: ends its response.
  virtual void end_response() {}

  Streams& streams_;
  std::size_t index_ = 0;  // in Streams' list
  EndReason reason_ = EndReason::kAnswered;
  Ending ending_ = Ending::kClean;
  // A delivery reads the exchange, the request's last member, and the phase beside it.
  Request request_;
  Phase phase_ = Phase::kOpening;
};

}  // namespace tailgate
