#include "gateway/endpoints/log_stream.h"

#include <algorithm>
#include <utility>

#include "gateway/endpoints/answers.h"
#include "gateway/routes/framing.h"
#include "gateway/routes/sse.h"
#include "gateway/text/json.h"

namespace tailgate {

namespace {

constexpr std::chrono::milliseconds kLookAgain{100};
// How soon what Redis refused or lost is tried again, should nothing else bring it about.
constexpr std::chrono::milliseconds kTryAgain{500};

}  // namespace

LogStream::LogStream(Services& services, Request request)
    : Stream(services.streams, std::move(request)),
      services_(services),
      key_(route().key_for(Stream::request().id)),
      accepted_(Loop::now()) {
}

void LogStream::start() {
  expect_opening_by(accepted_ + request().config->redis.wait);
  open_up();
}

void LogStream::open_up() {
  if (look_.under_way() || tail_.under_way() || !services_.log_reader.up()) return;
  if (route().record == nullptr) {
    tail_ = services_.log_reader.tail(
        key_, [this](LogRead::Outcome outcome, const LogTail& tail) { on_opening_tail(outcome, tail); });
    return;
  }
  look_ = services_.records.look(
      *route().record, request().id,
      [this](JobRecords::Found found, const Record* record) { on_looked(found, record); });
}

void LogStream::on_looked(JobRecords::Found found, const Record* record) {
  if (condemned()) return;
  if (found == JobRecords::Found::kUnavailable || !services_.log_reader.up()) {
    remind_at(Loop::now() + kTryAgain);
    return;
  }
  if (record == nullptr || !may_see(*record)) {
    const TimePoint until = accepted_ + route().record_grace;
    if (Loop::now() < until) {
      remind_at(std::min(Loop::now() + kLookAgain, until));
    } else {
      refuse_not_found(services_, hand_over());
    }
    return;
  }
  record_ = std::make_unique<Record>(*record);
  // RequestParameters for after the record was read: if the job had ended then, its log is complete up to
  // this tail.
  tail_ = services_.log_reader.tail(
      key_, [this](LogRead::Outcome outcome, const LogTail& tail) { on_opening_tail(outcome, tail); });
}

void LogStream::on_opening_tail(LogRead::Outcome outcome, const LogTail& tail) {
  if (condemned()) return;
  if (outcome == LogRead::Outcome::kUnavailable) {
    remind_at(Loop::now() + kTryAgain);
    return;
  }
  if (outcome == LogRead::Outcome::kWrongType) {
    refuse(services_, hand_over(), 500, "The log cannot be read");
    return;
  }
  const bool terminal = record_ && record_->terminal;
  if (terminal && request().parameters->saw_end) {
    answer_no_content(services_, hand_over());  // it has seen the end, and the end it still is
    return;
  }
  const std::optional<EntryId> resume = request().parameters->resume;
  begin(Hello::kOfRoute);
  if (record_ && !terminal) {
    Values named = values();
    named.set_all(record_->values);
    std::string bytes;
    if (append_first_fitting(bytes, route().standing, record_->status, named)) send(std::move(bytes), 1);
  }
  phase_ = Phase::kBehind;
  if (resume) {
    std::optional<LogGap> gap;
    cursor_ = LogCursor::behind(*resume, tail, gap);
    if (gap) send_gap(*gap);
  } else {
    cursor_ = LogCursor::at_tail(tail);
    caught_up_ = true;
  }
  if (terminal) {
    final_ = tail.last;
  } else if (record_) {
    watch_ = services_.records.watch(*route().record, request().id, *record_, *this);
    record_.reset();
  }
  proceed();
}

// The next step of a stream that is behind.
void LogStream::proceed() {
  if (condemned() || phase_ != Phase::kBehind) return;
  if (reached_end()) {
    finish();
    return;
  }
  if (reading_.under_way()) return;  // on_read() comes back here
  if (!final_ && caught_up_) {
    const auto fed = services_.log_feeds.position(key_);
    if (!fed || cursor_.position() >= *fed) {
      join();
      return;
    }
    // The feed is ahead of all there is: the log was replaced, and the feed has yet to see it.
    caught_up_ = false;
    services_.log_feeds.read_soon(key_);
    remind_at(Loop::now() + kTryAgain);
    return;
  }
  if (full()) return;                      // on_drained() comes back here
  if (!services_.log_reader.up()) return;  // on_redis_up() does
  reading_ = services_.log_reader.read(key_, cursor_, pace_, LogReader::Turn::kQueued,
                                       [this](const LogRead& read) { on_read(read); });
}

void LogStream::on_read(const LogRead& read) {
  if (condemned()) return;
  if (read.outcome == LogRead::Outcome::kWrongType) {
    condemn(EndReason::kWrongType);
    return;
  }
  if (read.outcome == LogRead::Outcome::kUnavailable) {
    remind_at(Loop::now() + kTryAgain);
    return;
  }
  if (read.gap) send_gap(*read.gap);
  std::string bytes;
  std::uint32_t events = 0;
  for (const LogEntry& entry : read.entries) {
    append_entry(bytes, route(), entry);
    ++events;
  }
  send(std::move(bytes), events);
  caught_up_ = !read.more;
  // The end of the log before its last id: those entries have been deleted.
  if (final_ && caught_up_ && !reached_end()) final_ = cursor_.position();
  proceed();
}

void LogStream::join() {
  if (!follow_.active()) {
    subscription_ = streams().hub().subscribe(LogFeeds::topic(key_), route(), *this);
    follow_ = services_.log_feeds.follow(key_, cursor_, *this);
  }
  phase_ = Phase::kTailing;
}

void LogStream::on_batch(const Batch& batch) {
  if (condemned() || phase_ != Phase::kTailing) return;
  const std::size_t offset = batch.offset_after(cursor_.position());
  if (offset == batch.chunk.size()) return;
  const std::size_t waiting = backlog();
  if (waiting > 0 && waiting + batch.chunk.size() - offset > route().backlog_bytes) {
    phase_ = Phase::kBehind;  // from here on it reads by itself, when its client has drained
    caught_up_ = false;
    return;
  }
  const auto events = static_cast<std::uint32_t>(
      std::count_if(batch.marks.begin(), batch.marks.end(),
                    [&](const Batch::Mark& mark) { return mark.id > cursor_.position(); }));
  send(batch.chunk, offset, events);
  cursor_.advance(batch.marks.back().id, events);
  if (reached_end()) finish();
}

void LogStream::on_gap(const LogGap& gap, const LogCursor& cursor) {
  if (condemned() || phase_ != Phase::kTailing) return;  // one that is behind sees for itself
  const EntryId own = cursor_.position();
  const bool was_reset = cursor.position() < gap.requested;
  // One that has read ahead of the feed may have had what the feed has not.
  const bool has_it_all = !was_reset && own > gap.requested &&
                          (gap.first_available ? *gap.first_available <= own : cursor.position() <= own);
  if (has_it_all) return;
  send_gap({own, gap.first_available});
  if (was_reset || own < cursor.position() || own == gap.requested) cursor_ = cursor;
  if (reached_end()) finish();
}

void LogStream::send_gap(const LogGap& gap) {
  ++streams().metrics().of(route().name).gaps;
  std::string bytes;
  append_event(bytes, "gap",
               json_object({{"requested", json_quote(gap.requested.text())},
                            {"first_available",
                             gap.first_available ? json_quote(gap.first_available->text()) : "null"}}));
  send(std::move(bytes), 1);
}

void LogStream::on_drained() {
  proceed();
}

void LogStream::on_redis_up() {
  if (phase_ == Phase::kOpening) {
    open_up();
  } else {
    on_reminder();
  }
}

void LogStream::on_reminder() {
  if (phase_ == Phase::kOpening) {
    open_up();
    return;
  }
  if (record_ && !final_) {
    end_at_tail(Record(*record_));
    return;
  }
  // A tail that does not come: the feed may have nothing more to bring.
  if (final_ && phase_ == Phase::kTailing) phase_ = Phase::kBehind;
  caught_up_ = false;
  proceed();
}

void LogStream::on_record(const Record& record) {
  if (!open() || phase_ == Phase::kOpening || final_) return;
  if (!may_see(record)) {
    condemn(EndReason::kOwnerChanged);
  } else if (record.terminal) {
    end_at_tail(record);
  }
}

void LogStream::on_record_gone() {
  if (open() && !final_) condemn(EndReason::kRecordGone);
}

// The job has ended: the log's last id, read after the look that found it so, is where this stream ends.
void LogStream::end_at_tail(const Record& record) {
  record_ = std::make_unique<Record>(record);
  if (tail_.under_way()) return;
  if (!services_.log_reader.up()) {
    remind_at(Loop::now() + kTryAgain);
    return;
  }
  tail_ = services_.log_reader.tail(
      key_, [this](LogRead::Outcome outcome, const LogTail& tail) { on_final_tail(outcome, tail); });
}

void LogStream::on_final_tail(LogRead::Outcome outcome, const LogTail& tail) {
  if (condemned()) return;
  if (outcome == LogRead::Outcome::kUnavailable) {
    remind_at(Loop::now() + kTryAgain);
    return;
  }
  if (outcome == LogRead::Outcome::kWrongType) {
    condemn(EndReason::kWrongType);
    return;
  }
  final_ = tail.last;
  if (tail.last < cursor_.position()) {
    // The log was lost since this stream read it, and no read has met that yet.  What stands in the new one
    // is read from its beginning; a read still under way would be judged by the old position.
    reading_ = {};
    if (const auto gap = cursor_.resolve_doubt(tail)) send_gap(*gap);
    phase_ = Phase::kBehind;
    caught_up_ = false;
  }
  if (reached_end()) {
    finish();
  } else if (phase_ == Phase::kTailing) {
    services_.log_feeds.read_soon(key_);
    remind_at(Loop::now() + kTryAgain);
  } else {
    proceed();
  }
}

void LogStream::finish() {
  Values named = values();
  if (record_) named.set_all(record_->values);
  std::string bytes;
  const std::string last_id = std::max(*final_, cursor_.position()).text();
  named.set("last_id", '"' + last_id + '"');
  const std::string id = std::string(kEndId) + '.' + last_id;
  (void)append_first_fitting(bytes, route().ending, record_ ? record_->status : std::string(), named, id);
  send(std::move(bytes), 1);
  condemn(EndReason::kTerminal);
}

void LogStream::on_wrong_type() {
  if (open()) condemn(EndReason::kWrongType);
}

void LogStream::on_opening_late() {
  answer_unavailable(services_, hand_over(), Unavailable::kRedis);
}

}  // namespace tailgate
