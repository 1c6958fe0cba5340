#include "gateway/streams/stream.h"

#include <algorithm>
#include <utility>

#include "gateway/loop/random.h"
#include "gateway/routes/sse.h"
#include "gateway/streams/streams.h"
#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::chrono::milliseconds kDrainRetryLeast{1000};
constexpr std::chrono::milliseconds kDrainRetryMost{15000};
constexpr std::chrono::milliseconds kOpeningDrainsAgain{100};

}  // namespace

Stream::Stream(Streams& streams, Request request) : streams_(streams), request_(std::move(request)) {
  request_.exchange->watch(*this);
}

Stream::~Stream() = default;

void Stream::on_gone(Exchange::Gone gone) {
  condemn(gone == Exchange::Gone::kStalled ? EndReason::kStalled : EndReason::kClientLeft, Farewell::kCut);
}

void Stream::condemn(EndReason reason, Farewell farewell) {
  if (std::exchange(condemned_, true)) return;
  reason_ = reason;
  farewell_ = farewell;
  Wheel::clear(*this);
  streams_.note_condemned(*this);
}

bool Stream::may_see(const Record& record) const {
  return route().who == Who::kAnyone || tailgate::may_see(record, request_.user, request_.session);
}

Request Stream::hand_over() {
  Request rest = std::move(request_);
  request_.config = rest.config;  // what this still holds refers to its route until it is buried
  request_.route = rest.route;
  condemn(EndReason::kAnswered);
  return rest;
}

void Stream::begin(Hello hello) {
  opened_ = last_sent_ = Loop::now();
  opening_by_ = TimePoint::max();
  HttpHeaders headers = std::move(request_.parameters->headers);
  if (route().record == nullptr || route().record->kind == RecordRule::Kind::kHash)
    request_.parameters.reset();
  const auto request_id = std::find_if(headers.begin(), headers.end(),
                                       [](const auto& header) { return header.first == "X-Request-ID"; });
  const std::string named_in_hello = request_id == headers.end() ? std::string() : request_id->second;
  headers.emplace_back("Content-Type", "text/event-stream");
  headers.emplace_back("Cache-Control", "no-cache, no-transform");
  headers.emplace_back("X-Accel-Buffering", "no");
  request_.exchange->begin(headers, route().send_timeout);
  RouteCounts& counted = streams_.metrics_.of(route().name);
  ++counted.opened;
  ++counted.open;

  std::string bytes;
  append_retry(bytes, route().retry);
  send(std::move(bytes), 0);
  if (hello == Hello::kOfRoute && !route().hello.empty()) send_hello(named_in_hello);

  if (route().heartbeat.every.count() > 0) {
    heartbeat_jitter_ = streams_.next_heartbeat_jitter();
    next_heartbeat_ = opened_ + heartbeat_interval();
  }
  if (route().max_age.count() > 0) {
    max_age_at_ = opened_ + route().max_age;
    if (route().age_notice) age_notice_at_ = max_age_at_ - route().age_notice_before;
  }
  schedule();
}

void Stream::send(const Chunk& chunk, std::size_t offset, std::uint32_t events) {
  if (condemned_) return;
  request_.exchange->write(chunk, offset);
  last_sent_ = Loop::now();
  events_ += events;
  bytes_ += chunk.size() - offset;
}

void Stream::send(std::string bytes, std::uint32_t events) {
  if (bytes.empty()) return;
  bytes.insert(0, Chunk::kRoom, ' ');
  send(Chunk(std::move(bytes)), 0, events);
}

void Stream::send_hello(std::string_view request_id) {
  Values named = values();
  if (!request_id.empty()) named.set("request_id", json_quote(request_id));
  named.set("connection_id", json_quote(random_uuid()));
  std::string bytes;
  for (const Message& message : route().hello) message.append_to(bytes, named);
  send(std::move(bytes), static_cast<std::uint32_t>(route().hello.size()));
}

Values Stream::values() const {
  Values named;
  named.set("id", json_quote(request_.id));
  named.set("route", json_quote(route().name));
  named.set("max_age_s",
            std::to_string(std::chrono::duration_cast<std::chrono::seconds>(route().max_age).count()));
  named.set("now", json_quote(iso_time(std::chrono::system_clock::now())));
  return named;
}

bool Stream::append_first_fitting(std::string& out, const std::vector<StatusMessage>& messages,
                                  std::string_view status, const Values& values, std::string_view id) const {
  const auto fits = std::find_if(messages.begin(), messages.end(), [&](const StatusMessage& candidate) {
    return candidate.statuses.empty() || std::find(candidate.statuses.begin(), candidate.statuses.end(),
                                                   status) != candidate.statuses.end();
  });
  if (fits == messages.end()) return false;
  fits->message.append_to(out, values, id);
  return true;
}

void Stream::expect_opening_by(TimePoint when) {
  opening_by_ = when;
  schedule();
}

void Stream::remind_at(TimePoint when) {
  remind_at_ = when;
  schedule();
}

void Stream::drain_at(TimePoint when) {
  drain_at_ = when;
  schedule();
}

void Stream::drain_now() {
  if (open()) send_drain_retry();
  condemn(EndReason::kDrained);
}

void Stream::schedule() {
  if (condemned_) return;
  const TimePoint next =
      std::min({next_heartbeat_, opening_by_, age_notice_at_, max_age_at_, drain_at_, remind_at_,
                request_.exchange->begun() ? request_.expires : TimePoint::max()});
  if (next == TimePoint::max()) {
    Wheel::clear(*this);
  } else {
    streams_.deadlines_.set(*this, next);
  }
}

void Stream::on_due(TimePoint now) {
  const auto is_due = [now](TimePoint& when) {
    if (when > now) return false;
    when = TimePoint::max();
    return true;
  };
  if (is_due(opening_by_)) on_opening_late();
  if (!condemned_ && is_due(remind_at_)) on_reminder();
  if (!condemned_ && is_due(age_notice_at_)) send_age_notice();
  if (!condemned_ && is_due(max_age_at_)) condemn(EndReason::kMaxAge);
  if (!condemned_ && request_.exchange->begun() && request_.expires <= now) {
    std::string bytes;
    append_event(bytes, "auth-expired", "{}");
    send(std::move(bytes), 1);
    condemn(EndReason::kTokenExpired);
  }
  if (!condemned_ && is_due(drain_at_)) {
    if (request_.exchange->begun()) {
      drain_now();
    } else {
      drain_at_ = now + kOpeningDrainsAgain;  // it is answered within seconds, and ends then
    }
  }
  if (!condemned_ && next_heartbeat_ <= now) heartbeat(now);
  schedule();
}

std::chrono::milliseconds Stream::heartbeat_interval() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(route().heartbeat.every *
                                                               (1.0 - heartbeat_jitter_));
}

void Stream::heartbeat(TimePoint now) {
  // Silence begins with the last byte sent: a stream that spoke meanwhile is due later.
  if (!route().heartbeat.always && now - last_sent_ < heartbeat_interval()) {
    next_heartbeat_ = last_sent_ + heartbeat_interval();
    return;
  }
  // A client that has not taken the last one yet needs no further one.
  if (backlog() == 0) send(streams_.heartbeat(*this, now), 0, 0);
  next_heartbeat_ = now + heartbeat_interval();
}

void Stream::send_age_notice() {
  std::string bytes;
  route().age_notice->append_to(bytes, values());
  send(std::move(bytes), 1);
}

void Stream::send_drain_retry() {
  std::string bytes;
  append_retry(bytes, kDrainRetryLeast + shortened(kDrainRetryMost - kDrainRetryLeast, 1.0));
  send(std::move(bytes), 0);
}

}  // namespace tailgate
