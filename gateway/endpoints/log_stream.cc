#include "gateway/endpoints/log_stream.h"

#include <algorithm>
#include <utility>

#include "gateway/routes/framing.h"
#include "gateway/text/json.h"

namespace tailgate {

namespace {

// The delay before a read that Redis refused or did not answer is repeated.
constexpr std::chrono::milliseconds kTryAgain{500};

}  // namespace

LogStream::LogStream(Streams& streams, const Resources& resources, Request request)
    : Stream(streams, std::move(request)),
      resources_(resources),
      key_(with_id(route().key, Stream::request().id)) {
}

void LogStream::start() {
  Opening::Observer& self = *this;
  opening_ = std::make_unique<Opening>(
      resources_.opening, request(),
      Opening::TimeLimits{.redis = request().config->redis.wait, .record = route().record_grace}, self);
  opening_->advance();
}

void LogStream::on_outcome(Access access, const Record* record) {
  if (condemned()) return;
  if (access != Access::kAllowed) return resources_.answers.refuse(hand_over(), access);
  record_ = record == nullptr ? nullptr : std::make_unique<Record>(*record);
  // The tail is read after the record.  So if the record is terminal, the log is complete up to this tail.
  tail_ = resources_.log_reader.tail(
      key_, [this](LogRead::Outcome read, const LogTail& tail) { on_opening_tail(read, tail); });
}

void LogStream::on_opening_tail(LogRead::Outcome outcome, const LogTail& tail) {
  if (condemned()) return;
  if (outcome == LogRead::Outcome::kUnavailable) return opening_->try_again();
  if (outcome == LogRead::Outcome::kWrongType)
    return resources_.answers.refuse(hand_over(), 500, "The log cannot be read");
  if (has_seen_end(request(), record_.get())) return resources_.answers.answer(hand_over(), 204);
  const bool terminal = record_ && record_->terminal;
  const std::optional<EntryId> resume = request().parameters->resume;
  opening_.reset();
  begin(FirstMessages::kOfRoute);
  if (record_ && !terminal) send_status(route().standing, record_.get());
  phase_ = Phase::kBehind;
  if (resume) {
    std::optional<LogGap> gap;
    cursor_ = LogCursor::after(*resume, tail, gap);
    if (gap) send_gap(*gap);
  } else {
    cursor_ = LogCursor::at_tail(tail);
    caught_up_ = true;
  }
  if (terminal) {
    final_ = tail.last;
  } else if (record_) {
    watch_ = resources_.opening.records.watch(*route().record, request().id, *record_, *this);
    record_.reset();
  }
  proceed();
}

// Does the next step of a stream that is behind: ends it, joins the feed, or reads.
void LogStream::proceed() {
  if (condemned() || phase_ != Phase::kBehind) return;
  if (reached_end()) return finish();
  if (reading_.under_way()) return;  // on_read() calls proceed() again
  if (!final_ && caught_up_) {
    const auto fed = resources_.log_feeds.position(key_);
    if (!fed || cursor_.position() >= *fed) return join();
    // The feed's position is after the log's end: the log was replaced, and the feed has not detected it yet.
    caught_up_ = false;
    resources_.log_feeds.read_soon(key_);
    remind_at(Loop::now() + kTryAgain);
    return;
  }
  if (backlog() > 0) return;                // on_drained() calls proceed() again
  if (!resources_.log_reader.up()) return;  // on_redis_up() calls proceed() again
  reading_ = resources_.log_reader.read(key_, cursor_, pace_, LogReader::Start::kQueued,
                                        [this](const LogRead& read) { on_read(read); });
}

// For an open stream.  Returns true if the read failed.  Then the stream reads again later, or it ends.
bool LogStream::handle_failure(LogRead::Outcome outcome) {
  if (outcome == LogRead::Outcome::kUnavailable) remind_at(Loop::now() + kTryAgain);
  if (outcome == LogRead::Outcome::kWrongType) condemn(EndReason::kWrongType);
  return outcome != LogRead::Outcome::kRead;
}

void LogStream::on_read(const LogRead& read) {
  if (condemned() || handle_failure(read.outcome)) return;
  if (read.gap) send_gap(*read.gap);
  std::string bytes;
  std::uint32_t events = 0;
  for (const LogEntry& entry : read.entries) {
    append_entry(bytes, route(), entry);
    ++events;
  }
  send(std::move(bytes), events);
  caught_up_ = !read.more;
  // The log ends before final_, because its newest entries were deleted.
  if (final_ && caught_up_ && !reached_end()) final_ = cursor_.position();
  proceed();
}

void LogStream::join() {
  if (!follow_.active()) {
    subscription_ = resources_.hub.subscribe(LogFeeds::topic(key_), route(), *this);
    follow_ = resources_.log_feeds.follow(key_, cursor_, *this);
  }
  phase_ = Phase::kTailing;
}

void LogStream::on_batch(const Batch& batch) {
  if (condemned() || phase_ != Phase::kTailing) return;
  const std::size_t offset = batch.offset_after(cursor_.position());
  if (offset == batch.chunk.size()) return;
  const std::size_t waiting = backlog();
  if (waiting > 0 && waiting + batch.chunk.size() - offset > route().backlog_bytes) {
    phase_ = Phase::kBehind;  // after on_drained() the stream reads by itself
    caught_up_ = false;
    return;
  }
  const auto events = static_cast<std::uint32_t>(std::ranges::count_if(
      batch.marks, [&](EntryId id) { return id > cursor_.position(); }, &Batch::Mark::id));
  send(batch.chunk, offset, events);
  cursor_.advance(batch.marks.back().id, events);
  if (reached_end()) finish();
}

void LogStream::on_gap(const LogGap& gap, const LogCursor& cursor) {
  if (condemned() || phase_ != Phase::kTailing) return;  // a stream that is behind finds the gap itself
  const EntryId own = cursor_.position();
  const bool was_reset = cursor.position() < gap.requested;
  // A stream that has read ahead of the feed may have sent the entries that the feed missed.
  const bool has_it_all = !was_reset && own > gap.requested &&
                          (gap.first_available ? *gap.first_available <= own : cursor.position() <= own);
  if (has_it_all) return;
  send_gap({own, gap.first_available});
  if (was_reset || own < cursor.position() || own == gap.requested) cursor_ = cursor;
  if (reached_end()) finish();
}

void LogStream::send_gap(const LogGap& gap) {
  ++streams().metrics().of(route().name).gaps;
  const std::string first = gap.first_available ? json_quote(gap.first_available->text()) : "null";
  send_event("gap",
             json_object({{"requested", json_quote(gap.requested.text())}, {"first_available", first}}));
}

void LogStream::on_redis_up() {
  if (opening_) {
    opening_->advance();
  } else {
    on_reminder();
  }
}

void LogStream::on_reminder() {
  if (record_ && !final_) return end_at_tail(Record(*record_));
  // The feed has not delivered the entry final_, which may have been deleted: the stream reads by itself.
  if (final_ && phase_ == Phase::kTailing) phase_ = Phase::kBehind;
  caught_up_ = false;
  proceed();
}

void LogStream::on_record(const Record& record) {
  if (!open() || phase_ == Phase::kOpening || final_) return;
  if (!may_see(request(), record)) {
    condemn(EndReason::kOwnerChanged);
  } else if (record.terminal) {
    end_at_tail(record);
  }
}

void LogStream::on_record_gone() {
  if (open() && !final_) condemn(EndReason::kRecordGone);
}

// The job has ended.  The stream ends at the log's last id, which is read after the terminal record.
void LogStream::end_at_tail(const Record& record) {
  record_ = std::make_unique<Record>(record);
  if (tail_.under_way()) return;
  if (!resources_.log_reader.up()) return remind_at(Loop::now() + kTryAgain);
  tail_ = resources_.log_reader.tail(
      key_, [this](LogRead::Outcome outcome, const LogTail& tail) { on_final_tail(outcome, tail); });
}

void LogStream::on_final_tail(LogRead::Outcome outcome, const LogTail& tail) {
  if (condemned() || handle_failure(outcome)) return;
  final_ = tail.last;
  if (tail.last < cursor_.position()) {
    // The log was replaced after this stream's last read, and no read has detected that yet.  The new log is
    // read from its beginning.  A read under way is dropped: it began at the old position, but its answer
    // would be checked against the new position.
    reading_ = {};
    if (const auto gap = cursor_.resolve_doubt(tail)) send_gap(*gap);
    phase_ = Phase::kBehind;
    caught_up_ = false;
  }
  if (reached_end()) {
    finish();
  } else if (phase_ == Phase::kTailing) {
    resources_.log_feeds.read_soon(key_);
    remind_at(Loop::now() + kTryAgain);
  } else {
    proceed();
  }
}

void LogStream::finish() {
  const std::string last_id = std::max(*final_, cursor_.position()).text();
  send_status(route().ending, record_.get(), std::string(kEndId) + '.' + last_id,
              {{"last_id", '"' + last_id + '"'}});
  condemn(EndReason::kTerminal);
}

void LogStream::on_wrong_type() {
  if (open()) condemn(EndReason::kWrongType);
}

}  // namespace tailgate
