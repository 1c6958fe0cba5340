// Stream: one client's open event stream.
//
// Knows its deadlines (heartbeat, maximum age, token, drain) and the messages that every route has.  The
// classes in endpoints/ that derive from Stream know the source.  When Redis is lost, an open stream stays
// open.  The heads of channel_stream.h and log_stream.h say what a stream does when Redis is back.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/http/chunk.h"
#include "gateway/loop/wheel.h"
#include "gateway/sse/message.h"
#include "gateway/streams/active_request.h"

namespace tailgate {

// The deadlines of a stream; max(): never.
class StreamTimes : public Wheel::Entry {
 protected:
  TimePoint opened_{};
  TimePoint next_heartbeat_ = TimePoint::max();
  TimePoint age_notice_at_ = TimePoint::max();
  TimePoint max_age_at_ = TimePoint::max();
  TimePoint drain_at_ = TimePoint::max();
  TimePoint remind_at_ = TimePoint::max();
  float heartbeat_jitter_ = 0;  // the fraction of the route's interval by which a heartbeat is early
};

// StreamTimes is the first base class, so that it does not stand between the members that a delivery reads:
// the request's exchange, the counters below, and the first members of ChannelStream.
class Stream : private StreamTimes, public ActiveRequest {
 public:
  Stream(Streams& streams, Request request) : ActiveRequest(streams, std::move(request)) {}

  void drain_at(TimePoint when) override;
  // Sends a random `retry` before the end, so that clients reconnect at different times.
  void drain_now() override;
  void add_deliveries(RouteMetrics& metrics) const override;

 protected:
  // Starts the response: headers and retry, and perhaps the route's own first messages.
  enum class FirstMessages { kNone, kOfRoute };
  void begin(FirstMessages first);
  // Sends the chunk's bytes from `offset` on, which hold `events` events.
  void send(const Chunk& chunk, std::size_t offset, std::uint32_t events);
  void send(std::string bytes, std::uint32_t events);
  void send_event(std::string_view name, std::string_view json);
  // The values that every message of this stream may contain: those of the path's named segments, route,
  // max_age_s, now.
  Values values() const;
  // Sends the first of `messages` that fits the record's status, if one does.  `record` may be null.  The
  // message may contain values(), the record's values and `more`.
  void send_status(const std::vector<StatusMessage>& messages, const Record* record, std::string_view id = {},
                   const Values& more = {});

  // Tells the client how long to wait before it reconnects.  A later `retry` replaces an earlier one.
  void send_retry(std::chrono::milliseconds retry);
  // Sends the Retry-After of an application as `retry`, because an EventSource cannot read the header.  Does
  // nothing if `seconds` is no whole number.  The delay is at least the route's, because a client could
  // otherwise reconnect without a pause.
  void send_retry_after(std::string_view seconds);
  // Calls on_reminder() at `when`.  Replaces an earlier remind_at().
  void remind_at(TimePoint when);
  virtual void on_reminder() {}
  // Called before the stream ends because of its maximum age, its token's expiry or a drain.  If the source
  // has positions, sends the stream's position as an `id`: a client that has received no event yet has no id
  // to resume from.
  virtual void send_position() {}

 private:
  void on_due(TimePoint now) override;
  void end_response() override;
  void schedule();
  void send_first_messages(std::string_view request_id);
  void heartbeat(TimePoint now);
  std::chrono::milliseconds heartbeat_interval() const;

  TimePoint last_sent_{};
  std::uint64_t events_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace tailgate
