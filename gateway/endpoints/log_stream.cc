#include "gateway/endpoints/log_stream.h"

#include <algorithm>
#include <utility>

#include "gateway/routes/framing.h"
#include "gateway/text/json.h"

namespace tailgate {

namespace {

// The delay before a read that Redis refused or did not answer is repeated.
constexpr std::chrono::milliseconds kTryAgain{500};
// The longest wait for silence after the end of a job.  When a stream opens, a log whose newest entry is
// older than this counts as silent.
constexpr std::chrono::seconds kLongestEnd{5};
// While Redis does not answer, workers cannot write.  So after an answer that took longer than this, the
// log's silence proves nothing.  An answer within half of the route's end_grace is never too slow.
constexpr std::chrono::milliseconds kSlowAnswer{100};

// The id of an entry holds the time at which Redis wrote the entry.  A log without an entry is not silent,
// because its first line may be on its way.
bool is_silent(const LogTail& tail) {
  if (tail.last.is_zero()) return false;
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  return tail.last.ms < static_cast<std::uint64_t>((now - kLongestEnd).time_since_epoch().count());
}

}  // namespace

LogStream::LogStream(Streams& streams, const Resources& resources, Request request)
    : Stream(streams, std::move(request)), resources_(resources), key_(source_key(Stream::request())) {
}

void LogStream::start() {
  Opening::Observer& self = *this;
  opening_ = std::make_unique<Opening>(
      resources_.opening, request(),
      Opening::TimeLimits{.redis = request().config->redis.wait, .record = route().record_grace}, self);
  opening_->advance();
}

// A client that has received no line yet has no id to resume from.  With the position it gets the lines that
// are written until it comes back.
void LogStream::send_position() {
  send("id: " + cursor_.position().text() + "\n\n", 0);
}

void LogStream::on_outcome(Access access, const Record* record) {
  if (condemned()) return;
  if (access != Access::kAllowed)
    return resources_.answers.refuse(hand_over(), access, opening_->retry_after());
  record_ = record == nullptr ? nullptr : std::make_unique<Record>(*record);
  tail_ = resources_.log_reader.tail(
      key_, [this](LogRead::Outcome read, const LogTail& tail) { on_opening_tail(read, tail); });
}

void LogStream::on_opening_tail(LogRead::Outcome outcome, const LogTail& tail) {
  if (condemned()) return;
  if (outcome == LogRead::Outcome::kUnavailable) return opening_->try_again();
  if (outcome == LogRead::Outcome::kWrongType)
    return resources_.answers.refuse(hand_over(), 500, "The log cannot be read");
  const bool terminal = record_ && record_->terminal;
  const std::optional<EntryId> resume = request().parameters->resume;
  const bool has_all = !resume || tail.last <= *resume;
  if (has_all && has_seen_end(request(), record_.get())) return resources_.answers.answer(hand_over(), 204);
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
    begin_ending(*record_);
    ending_->newest = tail.last;
    if (is_silent(tail)) {
      final_ = tail.last;
    } else {
      wait_for_silence();
    }
  }
  proceed();
  if (record_ && !condemned())
    watch_ = resources_.opening.records.watch(*route().record, record_key(request()), *record_, *this);
  record_.reset();
}

// Does the next step of a stream that is behind: ends it, joins the feed, or reads.
void LogStream::proceed() {
  if (condemned() || phase_ != Phase::kBehind) return;
  if (reached_end()) return finish(cursor_.position());
  if (reading_.under_way()) return;  // on_read() calls proceed() again
  if (!final_ && caught_up_) {
    const auto fed = resources_.log_feeds.position(key_);
    if (!fed || cursor_.position() >= *fed) return join();
    // The feed has published entries that this stream's read did not find.  Either the log was replaced, and
    // the feed has not detected it yet.  Or the newest entries were deleted (XDEL).  Or these entries are
    // newer than the stream's read, which had to wait for an XINFO.
    caught_up_ = false;
    resources_.log_feeds.read_soon(key_);
    remind_at(Loop::now() + kTryAgain);
    return;
  }
  if (backlog() > 0) return;                // on_drained() calls proceed() again
  if (!resources_.log_reader.up()) return;  // on_redis_up() calls proceed() again
  // Entries above final_ may belong to another run and another owner.
  reading_ = resources_.log_reader.read(
      key_, cursor_, pace_, LogReader::Start::kQueued, [this](const LogRead& read) { on_read(read); },
      final_);
}

// For an open stream.  Returns true if the read failed.  Then the stream reads again later, or it ends.
bool LogStream::handle_failure(LogRead::Outcome outcome) {
  if (outcome == LogRead::Outcome::kUnavailable) remind_at(Loop::now() + kTryAgain);
  if (outcome == LogRead::Outcome::kWrongType) end_without_log();
  return outcome != LogRead::Outcome::kRead;
}

void LogStream::on_read(const LogRead& read) {
  if (condemned() || handle_failure(read.outcome)) return;
  if (read.gap) {
    send_gap(*read.gap);
    if (read.gap->begins_anew) forget_end_of_log();
  }
  std::string bytes;
  std::uint32_t events = 0;
  for (const LogEntry& entry : read.entries) {
    append_entry(bytes, route(), entry);
    ++events;
  }
  send(std::move(bytes), events);
  caught_up_ = !read.more;
  if (final_ && caught_up_ && !reached_end()) return confirm_end();
  proceed();
}

// The log ends before final_.  Either its newest entries were deleted (XDEL), or the log was replaced.
void LogStream::confirm_end() {
  tail_ = resources_.log_reader.tail(key_, [this](LogRead::Outcome outcome, const LogTail& tail) {
    if (condemned() || !ending_) return;
    if (!final_) return wait_for_silence();
    if (is_tail_refused(outcome) || handle_failure(outcome)) return;
    if (tail.last < *final_) {
      read_anew(tail);
      forget_end_of_log();
      return proceed();
    }
    // Redis before 7.0 does not report which entries were deleted, so the gap may be a false alarm.
    const bool is_replaced = !tail.added || tail.max_deleted < *final_;
    const bool is_reported = cursor_.newest_known() > *final_;  // by the gap of a read
    if (is_replaced && !is_reported) send_gap_before(tail);
    // The id of the end is final_ even if the entry is gone: when the client comes back, Redis does not
    // report a lower last id.
    finish(*final_);
  });
}

// The log was replaced, and this stream has not read all of the old one.
void LogStream::read_anew(const LogTail& tail) {
  send_gap_before(tail);
  const EntryId own = cursor_.position();
  std::optional<LogGap> same_gap;
  cursor_ = LogCursor::after(tail.last < own ? EntryId{} : own, tail, same_gap);
  reading_ = {};
  phase_ = Phase::kBehind;
  caught_up_ = false;
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
  if (ending_) {
    ending_->last_entry_at = Loop::now();
    ending_->newest = cursor_.position();
  }
  if (reached_end()) finish(cursor_.position());
}

void LogStream::on_gap(const LogGap& gap, const LogCursor& cursor) {
  if (condemned() || phase_ != Phase::kTailing) return;  // a stream that is behind finds the gap itself
  const EntryId own = cursor_.position();
  // An older entry exists, but not the one at the feed's position: it is another log.
  const bool is_other_log = gap.first_available && *gap.first_available < gap.requested;
  // A stream that has read ahead of the feed may have sent the entries that the feed missed.
  const bool has_it_all = !gap.begins_anew && !is_other_log && own > gap.requested &&
                          (gap.first_available ? *gap.first_available <= own : cursor.position() <= own);
  if (has_it_all) return;
  if (backlog() > route().backlog_bytes) {
    phase_ = Phase::kBehind;  // after on_drained() the stream reads by itself, and finds the gap
    caught_up_ = false;
    return;
  }
  send_gap({own, gap.first_available});
  if (gap.begins_anew || own < cursor.position() || own == gap.requested) cursor_ = cursor;
  if (gap.begins_anew) forget_end_of_log();
  if (reached_end()) finish(cursor_.position());
}

void LogStream::send_gap(const LogGap& gap) {
  ++streams().metrics().of(route().name).gaps;
  const std::string first = gap.first_available ? json_quote(gap.first_available->text()) : "null";
  send_event("gap",
             json_object({{"requested", json_quote(gap.requested.text())}, {"first_available", first}}));
}

void LogStream::send_gap_before(const LogTail& tail) {
  send_gap({cursor_.position(), tail.length > 0 ? std::optional(tail.first_entry) : std::nullopt});
}

void LogStream::on_redis_up() {
  if (opening_) {
    opening_->advance();
  } else {
    // While the link that reads logs was down, workers may have been unable to write.
    const std::uint64_t losses = resources_.log_reader.times_lost();
    if (ending_ && !final_ && std::exchange(ending_->losses, losses) != losses)
      ending_->ended_at = ending_->last_entry_at = Loop::now();
    on_reminder();
  }
}

void LogStream::on_reminder() {
  if (ending_ && !final_) wait_for_silence();
  // The feed has not delivered the entry final_, which may have been deleted: the stream reads by itself.
  if (final_ && phase_ == Phase::kTailing) phase_ = Phase::kBehind;
  caught_up_ = false;
  proceed();
}

void LogStream::on_record(const Record& record) {
  if (!open() || phase_ == Phase::kOpening) return;
  if (!may_see(request(), record)) return condemn(EndReason::kOwnerChanged);
  if (final_) return;
  if (!record.terminal) return forget_ending();
  if (!ending_) begin_ending(record);
  ending_->record = record;
  wait_for_silence();
}

void LogStream::begin_ending(const Record& record) {
  const TimePoint now = Loop::now();
  // A stream that is behind does not know the log's last entry.
  const auto newest = phase_ == Phase::kTailing ? std::optional(cursor_.position()) : std::nullopt;
  ending_ = std::make_unique<Ending>(Ending{.record = record,
                                            .ended_at = now,
                                            .last_entry_at = now,
                                            .newest = newest,
                                            .losses = resources_.log_reader.times_lost()});
}

// The job runs again.
void LogStream::forget_ending() {
  ending_.reset();
  look_ = {};
  tail_ = {};
}

void LogStream::on_record_gone() {
  if (open() && !final_) condemn(EndReason::kRecordGone);
}

TimePoint LogStream::silent_at() const {
  return std::min(ending_->last_entry_at + route().end_grace, ending_->ended_at + kLongestEnd);
}

// For a stream whose job has ended: does step 2 (see log_stream.h).  Begins step 3 once the log has been
// silent for long enough.
void LogStream::wait_for_silence() {
  if (look_.under_way() || tail_.under_way()) return;  // on_final_look() and on_final_tail() go on
  if (Loop::now() < silent_at()) return remind_at(silent_at());
  if (!resources_.log_reader.up()) return remind_at(Loop::now() + kTryAgain);
  ending_->asked_at = Loop::now();
  look_ = resources_.opening.records.look(
      *route().record, record_key(request()),
      [this](JobRecords::Found found, const Record* record) { on_final_look(found, record); });
}

void LogStream::on_final_look(JobRecords::Found found, const Record* record) {
  if (condemned() || !ending_) return;
  if (found == JobRecords::Found::kUnavailable || !resources_.log_reader.up())
    return remind_at(Loop::now() + kTryAgain);
  if (record != nullptr) {
    if (!may_see(request(), *record)) return condemn(EndReason::kOwnerChanged);
    if (!record->terminal) {
      forget_ending();
      // The watch reports changes after the record that it knows, so it must know this one.
      watch_ = resources_.opening.records.watch(*route().record, record_key(request()), *record, *this);
      return;
    }
    ending_->record = *record;
  }
  tail_ = resources_.log_reader.tail(
      key_, [this](LogRead::Outcome outcome, const LogTail& tail) { on_final_tail(outcome, tail); });
}

void LogStream::on_final_tail(LogRead::Outcome outcome, const LogTail& tail) {
  if (condemned() || !ending_) return;
  const TimePoint now = Loop::now();
  if (is_tail_refused(outcome) || handle_failure(outcome)) return;
  const auto waited = now - ending_->asked_at;
  const bool was_slow = waited > std::max<Clock::duration>(kSlowAnswer, route().end_grace / 2);
  if (was_slow) ending_->ended_at += waited;
  // Redis never lowers the last id of a log, so a lower one belongs to another log.  No read has detected
  // that yet.
  if (tail.last < std::max(cursor_.newest_known(), ending_->newest.value_or(EntryId{}))) read_anew(tail);
  // The log has grown if its last id is not the newest id that was known before.
  if (was_slow || tail.last != ending_->newest) ending_->last_entry_at = now;
  ending_->newest = tail.last;
  if (now < silent_at()) {
    remind_at(silent_at());
    return proceed();
  }
  final_ = tail.last;
  // A read under way may have begun before the entries up to final_ were written.
  reading_ = {};
  if (reached_end()) {
    finish(cursor_.position());
  } else if (phase_ == Phase::kTailing) {
    resources_.log_feeds.read_soon(key_);
    remind_at(Loop::now() + kTryAgain);
  } else {
    proceed();
  }
}

// Redis refused the read of the tail, perhaps for long.  Each attempt costs two reads, so the pause is long.
bool LogStream::is_tail_refused(LogRead::Outcome outcome) {
  if (outcome != LogRead::Outcome::kUnavailable || !resources_.log_reader.up()) return false;
  remind_at(Loop::now() + kLongestEnd);
  return true;
}

// The log was replaced.  What the stream knows of its end belongs to the old log.
void LogStream::forget_end_of_log() {
  if (!ending_) return;
  ending_->newest.reset();
  if (!final_) return;
  final_.reset();
  ending_->ended_at = ending_->last_entry_at = Loop::now();
  ending_->losses = resources_.log_reader.times_lost();
  wait_for_silence();
}

// Precondition: ending_ is set, and the client has received every entry up to `last` that still exists.
void LogStream::finish(EntryId last) {
  const std::string last_id = last.text();
  send_status(route().ending, &ending_->record, std::string(kEndId) + '.' + last_id,
              {{"last_id", '"' + last_id + '"'}});
  condemn(EndReason::kTerminal);
}

void LogStream::on_wrong_type() {
  if (open()) end_without_log();
}

// The key holds no log any more, so the entries after the cursor are lost.
void LogStream::end_without_log() {
  send_gap({cursor_.position(), std::nullopt});
  if (ending_) return finish(cursor_.position());
  condemn(EndReason::kWrongType);
}

}  // namespace tailgate
