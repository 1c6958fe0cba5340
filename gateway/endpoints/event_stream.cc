#include "gateway/endpoints/event_stream.h"

#include <utility>

#include "gateway/endpoints/answers.h"
#include "gateway/routes/framing.h"
#include "gateway/routes/sse.h"

namespace tailgate {

namespace {

// How often a record that is not there yet is looked for again, within the route's grace.
constexpr std::chrono::milliseconds kLookAgain{100};
// The same of an application, which counts requests.
constexpr std::chrono::milliseconds kAskAgain{400};
// How soon a look that Redis refused is tried again.
constexpr std::chrono::milliseconds kRefusedAgain{500};
// How long after the record says so the published end may come.
constexpr std::chrono::milliseconds kPublishedEnd{250};

}  // namespace

EventStream::EventStream(Services& services, Request request)
    : Stream(services.streams, std::move(request)), services_(services), accepted_(Loop::now()) {
}

void EventStream::start() {
  expect_opening_by(accepted_ + request().config->redis.wait);
  const std::string channel = route().key_for(request().id);
  subscription_ = streams().hub().subscribe(channel, route(), *this);
  interest_ = ChannelFeeds::Interest(services_.channels, channel, *this);
  if (interest_.confirmed()) on_confirmed();
}

void EventStream::on_unconfirmed() {
  phase_ = Phase::kSubscribing;
  look_ = {};
  question_ = {};
  held_.clear();
  held_bytes_ = 0;
}

void EventStream::on_refused() {
  if (condemned()) return;
  if (request().exchange->begun()) {
    condemn(EndReason::kGap);
  } else {
    unavailable();
  }
}

void EventStream::on_confirmed() {
  if (condemned() || phase_ != Phase::kSubscribing) return;
  phase_ = Phase::kLooking;
  look();
}

void EventStream::look() {
  const RecordRule* rule = route().record;
  if (rule == nullptr) {
    send_status(nullptr);
  } else if (rule->kind == RecordRule::Kind::kHttp) {
    question_ = services_.applications.ask(
        *rule, request().id, request().parameters->caller,
        [this](StatusEndpoint::Answer answer, const Record* record) { on_asked(answer, record); });
  } else {
    look_ = services_.records.look(
        *rule, request().id,
        [this](JobRecords::Found found, const Record* record) { on_looked(found, record); });
  }
}

void EventStream::on_looked(JobRecords::Found found, const Record* record) {
  if (condemned()) return;
  switch (found) {
    case JobRecords::Found::kUnavailable:
      remind_at(Loop::now() + kRefusedAgain);
      return;
    case JobRecords::Found::kWrongType:
    case JobRecords::Found::kNothing:
      no_record();
      return;
    case JobRecords::Found::kRecord:
      break;
  }
  if (may_see(*record)) {
    send_status(record);
  } else if (request().exchange->begun()) {
    condemn(EndReason::kOwnerChanged);
  } else {
    no_record();
  }
}

void EventStream::on_asked(StatusEndpoint::Answer answer, const Record* record) {
  question_.reset();
  if (condemned()) return;
  const bool begun = request().exchange->begun();
  switch (answer) {
    case StatusEndpoint::Answer::kRecord:
      send_status(record);
      return;
    case StatusEndpoint::Answer::kNotFound:
      if (begun) {
        condemn(EndReason::kRecordGone);
      } else {
        no_record();
      }
      return;
    case StatusEndpoint::Answer::kUnauthorized:
      if (begun) {
        condemn(EndReason::kOwnerChanged);
      } else {
        refuse(services_, hand_over(), 401, "Sign in to follow this job", {{"WWW-Authenticate", "Bearer"}});
      }
      return;
    case StatusEndpoint::Answer::kTooMany:
    case StatusEndpoint::Answer::kUnavailable:
      if (begun) {
        condemn(EndReason::kGap);  // whether something was missed cannot be told
      } else {
        const bool too_many = answer == StatusEndpoint::Answer::kTooMany;
        answer_unavailable(services_, hand_over(), too_many ? Unavailable::kLimit : Unavailable::kRedis);
      }
      return;
  }
}

// The job is not there, or it is somebody else's: to the caller the two look alike, in time as well.
void EventStream::no_record() {
  if (request().exchange->begun()) {
    // A stream that was open keeps its place; JobRecords says when the record has been away too long.
    send_status(nullptr);
    return;
  }
  const TimePoint until = accepted_ + route().record_grace;
  if (Loop::now() < until) {
    const auto again = route().record->kind == RecordRule::Kind::kHttp ? kAskAgain : kLookAgain;
    remind_at(std::min(Loop::now() + again, until));
  } else {
    refuse_not_found(services_, hand_over());
  }
}

void EventStream::on_reminder() {
  if (ending_ != nullptr) {
    // What was published before the look that found the end comes first, the published end among it.
    streams().hub().flush(route().key_for(request().id));
    if (!condemned()) send_ending(*ending_);
    return;
  }
  if (phase_ != Phase::kLooking || look_.under_way() || question_ != nullptr) return;
  look();
}

void EventStream::on_redis_up() {
  on_reminder();
}

void EventStream::send_status(const Record* record) {
  const bool was_open = request().exchange->begun();
  if (!was_open) {
    if (record != nullptr && record->terminal && request().parameters->saw_end) {
      answer_no_content(services_, hand_over());  // it has seen the end, and the end it still is
      return;
    }
    begin(Hello::kOfRoute);
  }
  if (record != nullptr && record->terminal) {
    send_ending(*record);  // it says it all: what is held is dropped
    return;
  }
  std::string bytes;
  if (!was_open) {
    Values named = values();
    if (record != nullptr) {
      named.set_all(record->values);
      (void)append_first_fitting(bytes, route().standing, record->status, named);
    }
  } else if (route().on_gap == OnGap::kClose) {
    condemn(EndReason::kGap);
    return;
  } else {
    ++streams().metrics().of(route().name).gaps;
    append_event(bytes, "resync", R"({"reason":"redis-reconnected"})");
  }
  send(std::move(bytes), 1);
  if (record != nullptr && route().record->kind == RecordRule::Kind::kHash) {
    watch_ = services_.records.watch(*route().record, request().id, *record, *this);
  }
  go_live();
}

void EventStream::send_ending(const Record& record) {
  Values named = values();
  named.set_all(record.values);
  std::string bytes;
  (void)append_first_fitting(bytes, route().ending, record.status, named, kEndId);
  send(std::move(bytes), 1);
  condemn(EndReason::kTerminal);
}

void EventStream::go_live() {
  phase_ = Phase::kLive;
  const std::vector<Batch> held = std::exchange(held_, {});
  held_bytes_ = 0;
  for (const Batch& batch : held) {
    if (!condemned()) deliver(batch);
  }
}

void EventStream::on_batch(const Batch& batch) {
  if (condemned() || phase_ == Phase::kSubscribing) return;
  if (phase_ == Phase::kLive) {
    deliver(batch);
    return;
  }
  held_.push_back(batch);
  held_bytes_ += batch.chunk.size();
  if (held_bytes_ <= route().backlog_bytes || held_.size() == 1) return;
  if (request().exchange->begun()) {
    condemn(EndReason::kSlow);
  } else {
    unavailable();
  }
}

void EventStream::deliver(const Batch& batch) {
  const std::size_t waiting = backlog();
  if (waiting > 0 && waiting + batch.chunk.size() > route().backlog_bytes) {
    condemn(EndReason::kSlow, Farewell::kCut);
    return;
  }
  send(batch.chunk, 0, batch.events);
  if (batch.last) condemn(EndReason::kTerminal);
}

void EventStream::on_record(const Record& record) {
  if (!open()) return;
  ending_.reset();  // it runs again
  if (!may_see(record)) {
    condemn(EndReason::kOwnerChanged);
  } else if (record.terminal && phase_ == Phase::kLive) {
    // Workers write the record first and publish then: their own last message says more than the record.
    ending_ = std::make_unique<Record>(record);
    remind_at(Loop::now() + kPublishedEnd);
  } else if (record.terminal) {
    send_ending(record);  // what is published meanwhile does not reach us
  }
}

void EventStream::on_record_gone() {
  if (open()) condemn(EndReason::kRecordGone);
}

void EventStream::on_opening_late() {
  unavailable();
}

void EventStream::unavailable() {
  answer_unavailable(services_, hand_over(), Unavailable::kRedis);
}

}  // namespace tailgate
