// Stream: one client's open response, from the moment its request is accepted until it is buried.
//
// Knows its exchange, its route and its deadlines (heartbeat, maximum age, drain); what it
// carries is the endpoints' (rank 4), who derive from it.
// Nothing dies inside a callback that may be iterating: a stream that must go is condemned with a
// reason, hears and says nothing from then on, and is buried by Streams after the turn of the loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/config/config.h"
#include "gateway/feeds/page.h"
#include "gateway/http/exchange.h"
#include "gateway/loop/loop.h"
#include "gateway/loop/wheel.h"
#include "gateway/redis/entry_id.h"
#include "gateway/routes/limits.h"
#include "gateway/routes/message.h"
#include "gateway/routes/record.h"
#include "gateway/streams/end_reason.h"
#include "gateway/streams/route_metrics.h"

namespace tailgate {

class Streams;

// What a request asks for besides its path, and what its answer carries.
struct RequestParameters {
  bool saw_end = false;           // comes back with the id of a stream's end
  std::optional<EntryId> resume;  // logs: the last entry it has
  PageQuery page;                 // pages
  HttpHeaders caller;             // what the status endpoint is asked with (HTTP records only)
  HttpHeaders headers;            // of every answer: CORS, X-Request-ID
};

// A request that has passed every check that needs no Redis.
struct Request {
  std::shared_ptr<const Config> config;
  const Route* route = nullptr;          // of `config`
  std::string id;                        // of the job; empty where the path has none
  std::string user;                      // proven; empty: none
  std::string session;                   // the same
  TimePoint expires = TimePoint::max();  // when the stream must end because its token does
  std::unique_ptr<RequestParameters>
      parameters;  // once the stream has begun only if its record is asked for again
  bool unavailable_as_sse = false;
  StreamLimits::Ticket ticket;
  std::unique_ptr<Exchange> exchange;
};

class Stream : private Wheel::Entry, private Exchange::Observer {
 public:
  Stream(Streams& streams, Request request);
  ~Stream() override;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  enum class Farewell : std::uint8_t { kClean, kCut };
  // Ends the stream after this turn: clean (what is written still leaves) or cut.  The first reason stays.
  void condemn(EndReason reason, Farewell farewell = Farewell::kClean);
  bool condemned() const { return condemned_; }
  bool open() const { return !condemned_ && request_.exchange->begun(); }
  // What of it waits in our own memory, in bytes.
  std::size_t backlog() const { return request_.exchange->backlog(); }

  // Asks the stream to end by `when`, with a clean end and a retry that spreads the return.
  void drain_at(TimePoint when);
  // The same, now.  One that has not begun ends without an answer.
  void drain_now();
  // Which part of a drain's time this kind of stream ends in: the first half, the second, or its end.
  enum class DrainTurn { kEarly, kLate, kLast };
  virtual DrainTurn drain_turn() const { return DrainTurn::kEarly; }
  // Redis is back (or here for the first time).
  virtual void on_redis_up() {}

 protected:
  const Route& route() const { return *request_.route; }
  Request& request() { return request_; }
  const Request& request() const { return request_; }
  Streams& streams() { return streams_; }

  // May whoever asked see this job?
  bool may_see(const Record& record) const;
  // The request, which has not become a stream, for somebody else to answer; this ends.
  Request hand_over();

  // Starts the response: headers, retry, and perhaps the route's own first messages.
  enum class Hello { kNone, kOfRoute };
  void begin(Hello hello);
  // Sends bytes that hold so many events.
  // The same of a chunk, from `offset` of its events on.
  void send(const Chunk& chunk, std::size_t offset, std::uint32_t events);
  void send(std::string bytes, std::uint32_t events);
  // What this stream's own messages may name: id, route, max_age_s, now.
  Values values() const;
  // Appends the first of `messages` that fits `status`; false if none does.
  bool append_first_fitting(std::string& out, const std::vector<StatusMessage>& messages,
                            std::string_view status, const Values& values, std::string_view id = {}) const;

  // Until the response has begun: calls on_opening_late() at `when`.
  void expect_opening_by(TimePoint when);
  virtual void on_opening_late() {}
  // A moment of the stream's own, at `when`; the next call replaces it.
  void remind_at(TimePoint when);
  virtual void on_reminder() {}

 private:
  friend class Streams;
  void on_due(TimePoint now) override;
  void on_gone(Exchange::Gone gone) final;
  void schedule();
  void send_hello(std::string_view request_id);
  void heartbeat(TimePoint now);
  std::chrono::milliseconds heartbeat_interval() const;
  void send_age_notice();
  void send_drain_retry();

  Streams& streams_;
  std::size_t index_ = 0;  // in Streams' list
  TimePoint opened_{};
  TimePoint next_heartbeat_ = TimePoint::max();
  TimePoint opening_by_ = TimePoint::max();
  TimePoint age_notice_at_ = TimePoint::max();
  TimePoint max_age_at_ = TimePoint::max();
  TimePoint drain_at_ = TimePoint::max();
  TimePoint remind_at_ = TimePoint::max();
  float heartbeat_jitter_ = 0;  // the part of the route's interval by which a heartbeat is early
  EndReason reason_ = EndReason::kAnswered;
  Farewell farewell_ = Farewell::kClean;
  // What a delivery looks at, side by side: the request's exchange (its last member), these, and what
  // EventStream puts first.
  Request request_;
  TimePoint last_sent_{};
  std::uint64_t events_ = 0;
  std::uint64_t bytes_ = 0;
  bool condemned_ = false;
};

}  // namespace tailgate
