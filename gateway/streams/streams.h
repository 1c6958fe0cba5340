// Streams: owns every request that is being served.  Nothing else destroys a request.
//
// Buries condemned requests at the end of the turn (see active_request.h).  In a drain, ends every stream.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "gateway/base/metrics_text.h"
#include "gateway/loop/deadlines.h"
#include "gateway/loop/loop.h"
#include "gateway/streams/active_request.h"
#include "gateway/streams/heartbeat_cohorts.h"
#include "gateway/streams/route_metrics.h"

namespace tailgate {

class Streams {
 public:
  Streams(const Loop& loop, Deadlines& deadlines, RouteMetrics& metrics);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  // Owns `request` from now on, and returns it.
  template <typename T>
  T& add(std::unique_ptr<T> request) {
    T& added = *request;
    own(std::move(request));
    return added;
  }
  void on_redis_up();

  // Ends every stream by `by`, also those that open later.  drain_schedule.h chooses the moments.
  void drain(TimePoint by);
  void end_all();
  // Destroys every request, condemned or not.
  void clear() { requests_.clear(); }
  // Calls `call` at the end of the turn that buries the last request, or of this turn if there is none.
  void set_on_empty(std::function<void()> call);

  // Calls `call` with each request.  Inside `call` no request may be added.
  template <typename Call>
  void for_each(const Call& call) const {
    for (const auto& request : requests_) call(*request);
  }
  // Writes the metrics of all routes, including the deliveries of open streams.
  void write_metrics(MetricsText& out) const;
  std::size_t count() const { return requests_.size(); }

  Deadlines& deadlines() { return deadlines_; }
  HeartbeatCohorts& heartbeats() { return heartbeats_; }
  RouteMetrics& metrics() { return metrics_; }

 private:
  friend class ActiveRequest;
  void own(std::unique_ptr<ActiveRequest> request);
  void on_condemned(ActiveRequest& request);
  void bury_condemned();
  void bury(ActiveRequest& request);
  void drain(ActiveRequest& request) const;

  RouteMetrics& metrics_;
  Deadlines& deadlines_;
  HeartbeatCohorts heartbeats_;
  TurnEnd turn_end_;
  std::vector<std::unique_ptr<ActiveRequest>> requests_;
  std::vector<ActiveRequest*> condemned_;
  std::function<void()> on_empty_;
  std::optional<TimePoint> drain_by_;
};

}  // namespace tailgate
