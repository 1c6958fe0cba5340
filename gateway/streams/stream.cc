#include "gateway/streams/stream.h"

#include <algorithm>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/loop/random.h"
#include "gateway/sse/sse.h"
#include "gateway/streams/streams.h"
#include "gateway/text/digest.h"
#include "gateway/text/hex.h"
#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::chrono::milliseconds kDrainRetryLeast{1000};
constexpr std::chrono::milliseconds kDrainRetryMost{15000};
// The longest `retry` for an EventSource, whatever delay an application demands.
constexpr std::chrono::minutes kMostRetry{10};

// Lets an operator tell two users apart without learning their names.  The salt changes with every start, so
// that nobody can test whether a name belongs to a hash.
std::string subject_hash(const Request& request) {
  if (request.user.empty() && request.session.empty()) return "";
  static const std::string salt = random_hex(16);
  const Digest digest = sha256(salt + '\n' + request.user + '\n' + request.session);
  return hex_encode({reinterpret_cast<const char*>(digest.data()), 6});
}

}  // namespace

void Stream::begin(FirstMessages first) {
  opened_ = last_sent_ = Loop::now();
  HttpHeaders headers = std::move(request().parameters->headers);
  if (route().record == nullptr || route().record->kind == RecordRule::Kind::kHash)
    request().parameters.reset();
  const auto request_id = std::ranges::find(headers, "X-Request-ID", &HttpHeaders::value_type::first);
  const std::string named = request_id == headers.end() ? std::string() : request_id->second;
  headers.emplace_back("Content-Type", "text/event-stream");
  headers.emplace_back("Cache-Control", "no-cache, no-transform");
  headers.emplace_back("X-Accel-Buffering", "no");
  request().exchange->begin(headers, route().send_timeout);
  set_open();
  RouteCounts& counts = streams().metrics().of(route().name);
  ++counts.opened;
  ++counts.open;

  send_retry(route().retry);
  if (first == FirstMessages::kOfRoute && !route().hello.empty()) send_first_messages(named);

  if (route().heartbeat.every.count() > 0) {
    heartbeat_jitter_ = streams().heartbeats().next_jitter();
    next_heartbeat_ = opened_ + heartbeat_interval();
  }
  if (route().max_age.count() > 0) {
    max_age_at_ = opened_ + route().max_age;
    if (route().age_notice) age_notice_at_ = max_age_at_ - route().age_notice_before;
  }
  schedule();
}

void Stream::send(const Chunk& chunk, std::size_t offset, std::uint32_t events) {
  if (condemned()) return;
  request().exchange->write(chunk, offset);
  last_sent_ = Loop::now();
  events_ += events;
  bytes_ += chunk.size() - offset;
}

void Stream::send(std::string bytes, std::uint32_t events) {
  if (bytes.empty()) return;
  bytes.insert(0, Chunk::kRoom, ' ');
  send(Chunk(std::move(bytes)), 0, events);
}

void Stream::send_event(std::string_view name, std::string_view json) {
  std::string bytes;
  append_event(bytes, name, json);
  send(std::move(bytes), 1);
}

void Stream::send_retry(std::chrono::milliseconds retry) {
  std::string bytes;
  append_retry(bytes, retry);
  send(std::move(bytes), 0);
}

void Stream::send_retry_after(std::string_view seconds) {
  if (const auto number = parse_number<std::uint32_t>(seconds))
    send_retry(
        std::clamp<std::chrono::milliseconds>(std::chrono::seconds(*number), route().retry, kMostRetry));
}

void Stream::send_first_messages(std::string_view request_id) {
  Values named = values();
  if (!request_id.empty()) named["request_id"] = json_quote(request_id);
  named["connection_id"] = json_quote(random_uuid());
  std::string bytes;
  for (const Message& message : route().hello) message.append_to(bytes, named);
  send(std::move(bytes), static_cast<std::uint32_t>(route().hello.size()));
}

Values Stream::values() const {
  const auto max_age = std::chrono::duration_cast<std::chrono::seconds>(route().max_age);
  Values named{{"route", json_quote(route().name)},
               {"max_age_s", std::to_string(max_age.count())},
               {"now", json_quote(iso_time(std::chrono::system_clock::now()))}};
  const Segments segments = segments_of(request());
  for (std::size_t i = 0; i < segments.names.size(); ++i) {
    named[segments.names[i]] = json_quote(segments.value(i));
  }
  return named;
}

void Stream::send_status(const std::vector<StatusMessage>& messages, const Record* record,
                         std::string_view id, const Values& more) {
  const std::string_view status = record != nullptr ? std::string_view(record->status) : std::string_view();
  const auto fits = std::ranges::find_if(messages, [&](const StatusMessage& candidate) {
    return candidate.statuses.empty() || contains(candidate.statuses, status);
  });
  if (fits == messages.end()) return;
  Values named = more;
  if (record != nullptr) named.insert(record->values.begin(), record->values.end());
  named.merge(values());
  std::string bytes;
  fits->message.append_to(bytes, named, id);
  send(std::move(bytes), 1);
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
  if (open()) {
    send_position();
    send_retry(kDrainRetryLeast + shortened(kDrainRetryMost - kDrainRetryLeast, 1.0));
  }
  condemn(EndReason::kDrained);
}

// Before the stream is open, only a reminder can be due.  Drain and token expiry apply once it is open.
void Stream::schedule() {
  if (condemned()) return;
  TimePoint next = remind_at_;
  if (open())
    next = std::min({next, next_heartbeat_, age_notice_at_, max_age_at_, drain_at_, request().expires});
  if (next == TimePoint::max()) {
    Wheel::clear(*this);
  } else {
    streams().deadlines().set(*this, next);
  }
}

void Stream::on_due(TimePoint now) {
  const auto is_due = [this, now](TimePoint& when) {
    if (condemned() || when > now) return false;
    when = TimePoint::max();
    return true;
  };
  if (is_due(remind_at_)) on_reminder();
  if (open()) {
    if (is_due(age_notice_at_)) {
      std::string bytes;
      route().age_notice->append_to(bytes, values());
      send(std::move(bytes), 1);
    }
    if (is_due(max_age_at_)) {
      send_position();
      condemn(EndReason::kMaxAge);
    }
    if (is_due(request().expires)) {
      send_position();
      send_event("auth-expired", "{}");
      condemn(EndReason::kTokenExpired);
    }
    if (is_due(drain_at_)) drain_now();
    if (open() && next_heartbeat_ <= now) heartbeat(now);
  }
  schedule();
}

std::chrono::milliseconds Stream::heartbeat_interval() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(route().heartbeat.every *
                                                               (1.0 - heartbeat_jitter_));
}

void Stream::heartbeat(TimePoint now) {
  // Without `always`, a heartbeat is due when the stream has sent nothing for the interval, so everything
  // that is sent postpones it.
  if (!route().heartbeat.always && now - last_sent_ < heartbeat_interval()) {
    next_heartbeat_ = last_sent_ + heartbeat_interval();
    return;
  }
  // A client that has not received all earlier bytes yet needs no heartbeat.
  if (backlog() == 0) send(streams().heartbeats().message(route(), now, [this] { return values(); }), 0, 0);
  next_heartbeat_ = now + heartbeat_interval();
}

void Stream::add_deliveries(RouteMetrics& metrics) const {
  RouteCounts& counts = metrics.of(route().name);
  counts.events += events_;
  counts.bytes += bytes_;
}

void Stream::end_response() {
  add_deliveries(streams().metrics());
  RouteCounts& counts = streams().metrics().of(route().name);
  --counts.open;
  ++counts.ended[static_cast<std::size_t>(reason())];
  log_info("stream.closed", {{"route", route().name},
                             {"subject", subject_hash(request())},
                             {"seconds", std::chrono::duration<double>(Loop::now() - opened_).count()},
                             {"events", events_},
                             {"bytes", bytes_},
                             {"why", word_of(reason())}});
  if (ending() == Ending::kClean) {
    request().exchange->end();
  } else {
    request().exchange->cut();
  }
}

}  // namespace tailgate
