// Streams: all streams there are; the one place where they die.
//
// Owns every Stream, the hub that feeds them, and the end
// of the turn: first the hub hands out what the turn brought, then the condemned are buried.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "gateway/feeds/hub.h"
#include "gateway/http/chunk.h"
#include "gateway/loop/deadlines.h"
#include "gateway/loop/loop.h"
#include "gateway/streams/route_metrics.h"
#include "gateway/streams/stream.h"

namespace tailgate {

class Streams {
 public:
  Streams(const Loop& loop, Deadlines& deadlines, RouteMetrics& metrics);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  // Takes over a stream, which must not have begun anything yet, and starts its deadlines.
  void add(std::unique_ptr<Stream> stream);
  void on_redis_up();

  // Ends every stream by `by`, those that are yet to come too, spread over the time until then, logs in
  // the later half, held answers at its end.
  void drain(TimePoint by);
  // The same, now; a stream that has not begun ends without an answer.
  void end_all();
  // Cuts streams whose clients are behind, the largest backlogs first, until `bytes` would be free.
  enum class Shed { kChannels, kLogsToo };
  void shed(std::uint64_t bytes, Shed what);
  // Buries everything, ended or not.
  void clear() { streams_.clear(); }
  // Is more waiting to be read from Redis?  Then what the turn brought is held for what comes with it, a
  // moment at most.
  void set_more_coming(std::function<bool()> call) { more_coming_ = std::move(call); }
  // Once no stream is left (now, if there is none).
  void set_on_empty(std::function<void()> call);

  // The metrics of all routes, with the deliveries of open streams among them.
  void write_metrics(MetricsText& out) const;
  std::size_t count() const { return streams_.size(); }
  Hub& hub() { return hub_; }
  RouteMetrics& metrics() { return metrics_; }

 private:
  friend class Stream;
  // The stream is condemned.
  void note_condemned(Stream& stream);
  void after_turn();
  bool is_joining();
  // What `stream` says when it beats at `now`, the wheel's time.  Of most routes it is the same for all who
  // are due with it, and encoded once.
  Chunk heartbeat(const Stream& stream, TimePoint now);
  // The part of its interval by which the heartbeats of a stream that opens now are early.
  float next_heartbeat_jitter();
  void bury(Stream& stream);
  void set_drain_moment(Stream& stream) const;

  RouteMetrics& metrics_;
  Deadlines& deadlines_;
  TurnEnd turn_end_;
  Timer next_turn_;
  Hub hub_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<Stream*> condemned_;
  std::function<void()> on_empty_;
  std::function<bool()> more_coming_;
  std::optional<TimePoint> joining_until_;
  bool handing_out_ = false;  // a fan-out is half done
  std::optional<TimePoint> drain_by_;
  float heartbeat_jitter_ = 0;
  unsigned alike_ = 0;  // how many more streams get this haste
  // The heartbeats of one moment that name no job, by route.
  TimePoint beats_at_{};
  std::vector<std::pair<const Route*, Chunk>> beats_;
};

}  // namespace tailgate
