#include "gateway/streams/streams.h"

#include <utility>

#include "gateway/loop/random.h"
#include "gateway/streams/drain_schedule.h"

namespace tailgate {

Streams::Streams(const Loop& loop, Deadlines& deadlines, RouteMetrics& metrics)
    : metrics_(metrics), deadlines_(deadlines), turn_end_(loop, [this] { bury_condemned(); }) {
}

Streams::~Streams() {
  clear();
}

void Streams::own(std::unique_ptr<ActiveRequest> request) {
  request->index_ = requests_.size();
  if (drain_by_) drain(*request);
  requests_.push_back(std::move(request));
}

void Streams::on_redis_up() {
  // Iterates by index, because on_redis_up() may replace a request by an `unavailable` stream, which add()
  // appends to requests_.
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    if (!requests_[i]->condemned()) requests_[i]->on_redis_up();
  }
}

void Streams::on_condemned(ActiveRequest& request) {
  condemned_.push_back(&request);
  turn_end_.ask();
}

void Streams::bury_condemned() {
  // Burying a request may condemn other requests.  The next iteration buries them.
  while (!condemned_.empty()) {
    for (ActiveRequest* request : std::exchange(condemned_, {})) bury(*request);
  }
  if (requests_.empty() && on_empty_) on_empty_();
}

void Streams::bury(ActiveRequest& request) {
  if (request.phase_ == ActiveRequest::Phase::kEnding) request.end_response();
  requests_.back()->index_ = request.index_;
  std::swap(requests_[request.index_], requests_.back());
  requests_.pop_back();
}

void Streams::drain(TimePoint by) {
  drain_by_ = by;
  for (const auto& request : requests_) drain(*request);
}

void Streams::drain(ActiveRequest& request) const {
  request.drain_at(drain_moment(Loop::now(), *drain_by_, request.drain_part(), random_unit()));
}

void Streams::end_all() {
  for (const auto& request : requests_) request->drain_now();
}

void Streams::write_metrics(MetricsText& out) const {
  RouteMetrics now = metrics_;
  for (const auto& request : requests_) {
    if (request->phase_ == ActiveRequest::Phase::kOpen || request->phase_ == ActiveRequest::Phase::kEnding)
      request->add_deliveries(now);
  }
  now.write(out);
  out.gauge("tailgate_streams", "Streams and requests that are being served, openings among them.",
            requests_.size());
}

void Streams::set_on_empty(std::function<void()> call) {
  on_empty_ = std::move(call);
  turn_end_.ask();
}

}  // namespace tailgate
