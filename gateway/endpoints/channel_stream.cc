#include "gateway/endpoints/channel_stream.h"

#include <utility>

#include "gateway/base/log.h"
#include "gateway/routes/framing.h"

namespace tailgate {

namespace {

// How long a stream waits for the published end after its record has become terminal.
constexpr std::chrono::milliseconds kPublishedEnd{250};

}  // namespace

void ChannelStream::on_redis_up() {
  if (opening_) opening_->advance();
}

void ChannelStream::on_record_gone() {
  if (open()) condemn(EndReason::kRecordGone);
}

void ChannelStream::start() {
  const std::string channel = source_key(request());
  if (is_reserved_channel(channel)) {
    static LogValve valve(5, 1);
    if (valve.open(Loop::now())) {
      log_error("channel.refused",
                {{"channel", channel}, {"why", "reserved"}, {"held_back", valve.take_held_back()}});
    }
    return resources_.answers.refuse(hand_over(), Access::kNoRecord);
  }
  read_record({.redis = request().config->redis.wait, .record = route().record_grace});
  subscription_ = resources_.hub.subscribe(channel, route(), *this);
  interest_ = ChannelFeeds::Interest(resources_.channels, channel, *this);
  if (interest_.confirmed()) on_confirmed();
}

void ChannelStream::read_record(Opening::TimeLimits limits) {
  Opening::Observer& self = *this;
  opening_ = std::make_unique<Opening>(resources_.opening, request(), limits, self);
}

void ChannelStream::on_confirmed() {
  if (condemned() || phase_ != Phase::kSubscribing) return;
  phase_ = Phase::kReading;
  opening_->advance();
}

void ChannelStream::on_unconfirmed() {
  if (condemned()) return;
  phase_ = Phase::kSubscribing;
  held_.clear();
  held_bytes_ = 0;
  if (!opening_) read_record({});
  opening_->restart();
}

void ChannelStream::on_refused() {
  if (condemned()) return;
  if (open()) return condemn(EndReason::kGap);
  resources_.answers.refuse(hand_over(), Access::kUnavailable);
}

void ChannelStream::on_outcome(Access access, const Record* record) {
  if (condemned()) return;
  if (open()) {
    reopen(access, record);
  } else if (access != Access::kAllowed) {
    resources_.answers.refuse(hand_over(), access, opening_->retry_after());
  } else if (has_seen_end(request(), record)) {
    resources_.answers.answer(hand_over(), 204);
  } else {
    open_with(record);
  }
}

void ChannelStream::open_with(const Record* record) {
  begin(FirstMessages::kOfRoute);
  if (record != nullptr && record->terminal)
    return send_ending(*record);  // the terminal record replaces all events that are held
  if (record != nullptr) send_status(route().standing, record);
  go_live(record);
}

// Continues or ends an open stream after a loss of Redis.  `access` is the outcome of its new Opening.
void ChannelStream::reopen(Access access, const Record* record) {
  const bool is_http = route().record != nullptr && route().record->kind == RecordRule::Kind::kHttp;
  switch (access) {
    case Access::kAllowed:
      break;
    case Access::kNoRecord:
      if (is_http) return condemn(EndReason::kRecordGone);
      break;  // on_record_gone() ends the stream if the record stays missing
    case Access::kForeign:
    case Access::kUnauthorized:
      return condemn(EndReason::kOwnerChanged);
    case Access::kTooMany:
    case Access::kNoAnswer:
    case Access::kUnavailable:
      send_retry_after(opening_->retry_after());
      return condemn(EndReason::kGap);  // events may have been missed
  }
  if (record != nullptr && record->terminal) return send_ending(*record);
  if (route().on_gap == OnGap::kClose) return condemn(EndReason::kGap);
  ++streams().metrics().of(route().name).gaps;
  send_event("resync", R"({"reason":"redis-reconnected"})");
  go_live(record);
}

void ChannelStream::go_live(const Record* record) {
  if (record != nullptr && route().record->kind == RecordRule::Kind::kHash) {
    watch_ = resources_.opening.records.watch(*route().record, record_key(request()), *record, *this);
  }
  phase_ = Phase::kLive;
  opening_.reset();
  const std::vector<Batch> held = std::exchange(held_, {});
  held_bytes_ = 0;
  for (const Batch& batch : held) {
    if (!condemned()) deliver(batch);
  }
}

void ChannelStream::send_ending(const Record& record) {
  send_status(route().ending, &record, kEndId);
  condemn(EndReason::kTerminal);
}

void ChannelStream::on_batch(const Batch& batch) {
  if (condemned() || phase_ == Phase::kSubscribing) return;
  if (phase_ == Phase::kLive) return deliver(batch);
  held_.push_back(batch);
  held_bytes_ += batch.chunk.size();
  if (held_bytes_ <= route().backlog_bytes || held_.size() == 1) return;
  if (open()) return condemn(EndReason::kSlow);
  resources_.answers.refuse(hand_over(), Access::kUnavailable);
}

void ChannelStream::deliver(const Batch& batch) {
  const std::size_t waiting = backlog();
  if (waiting > 0 && waiting + batch.chunk.size() > route().backlog_bytes)
    return condemn(EndReason::kSlow, Ending::kCut);
  send(batch.chunk, 0, batch.events);
  if (batch.last) condemn(EndReason::kTerminal);
}

void ChannelStream::on_record(const Record& record) {
  if (!open()) return;
  ending_.reset();  // the job may run again
  look_ = {};
  if (!may_see(request(), record)) {
    condemn(EndReason::kOwnerChanged);
  } else if (record.terminal && phase_ == Phase::kLive) {
    // Workers publish their last message after they write the record.  The stream waits for this message,
    // because it says more than the record.
    ending_ = std::make_unique<Record>(record);
    looked_again_ = false;
    remind_at(Loop::now() + kPublishedEnd);
  } else if (record.terminal) {
    send_ending(record);  // while the subscription is lost, the published end does not arrive
  }
}

void ChannelStream::on_reminder() {
  if (ending_ == nullptr || look_.under_way()) return;
  if (!looked_again_) {
    look_ = resources_.opening.records.look(
        *route().record, record_key(request()),
        [this](JobRecords::Found, const Record* record) { on_final_look(record); });
    return;
  }
  // Delivers the messages that have been read, because the published end may be among them.
  resources_.hub.flush(source_key(request()));
  if (!condemned()) send_ending(*ending_);
}

// The record was read again, because workers write fields of the result after the status, and because the job
// may run again by now.
void ChannelStream::on_final_look(const Record* record) {
  if (condemned() || ending_ == nullptr) return;
  if (record != nullptr) {
    if (!may_see(request(), *record)) return condemn(EndReason::kOwnerChanged);
    if (!record->terminal) {
      ending_.reset();
      // The watch reports changes after the record that it knows, so it must know this one.
      watch_ = resources_.opening.records.watch(*route().record, record_key(request()), *record, *this);
      return;
    }
    *ending_ = *record;
  }
  looked_again_ = true;
  // After a stall of the process, timers and answers may run before all sockets have been read.  One slot
  // later, all sockets have been read.
  remind_at(Loop::now() + Wheel::kSlot);
}

}  // namespace tailgate
