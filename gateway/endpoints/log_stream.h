// LogStream: one client's stream of one log, live or resumed.
//
// A stream either *tails* (the log's live feed sends it batches) or is *behind* (it reads by itself, whenever
// its client has received everything).  So slow clients cost little memory.  A stream joins the feed when its
// cursor has reached the feed's cursor.  Entries that were sent already are cut from the first batch.  When
// Redis is lost, an open stream stays open and does nothing.  When Redis is back, the stream reads on from
// its cursor (on_redis_up()), which detects gaps.
//
// Workers write their last lines after the terminal status.  So the end of a job (Ending) has five steps.
// DESIGN.md has the details ("The end of a log").
//   1  learn  A look finds the terminal status.
//   2  wait   The log must be silent for the route's `end_grace`.  The wait takes 5 s at most (silent_at()).
//   3  look   The record is read again.  If the job runs again, the stream forgets the end.
//   4  tail   The log's tail is read.  If the log has grown, or Redis was slow, back to step 2.
//   5  send   Everything up to that tail (final_) is sent, then the route's ending.  If the log is replaced
//             meanwhile, back to step 2.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "gateway/endpoints/answers.h"
#include "gateway/feeds/hub.h"
#include "gateway/feeds/job_records.h"
#include "gateway/feeds/log_cursor.h"
#include "gateway/feeds/log_feeds.h"
#include "gateway/feeds/log_reader.h"
#include "gateway/streams/opening.h"
#include "gateway/streams/stream.h"

namespace tailgate {

class LogStream final : public Stream,
                        private Receiver,
                        private LogFeeds::Observer,
                        private JobRecords::Observer,
                        private Opening::Observer {
 public:
  struct Resources {
    Opening::Sources opening;
    Hub& hub;
    LogReader& log_reader;
    LogFeeds& log_feeds;
    Answers& answers;
  };

  LogStream(Streams& streams, const Resources& resources, Request request);
  // Precondition: Streams owns this object.
  void start();
  DrainPart drain_part() const override { return kSecondHalf; }

 private:
  enum class Phase {
    kOpening,  // the record is being read, then the log's tail
    kBehind,   // reads by itself
    kTailing,  // gets batches from the live feed
  };

  // What the stream knows of a job that has ended.
  struct Ending {
    Record record;
    TimePoint ended_at;             // when the stream learned of the end; later if Redis was lost or slow
    TimePoint last_entry_at;        // when the last entry was noticed; ended_at if there was none since
    TimePoint asked_at{};           // when step 3 began
    std::optional<EntryId> newest;  // the entry that last_entry_at belongs to; none: not known yet
    std::uint64_t losses = 0;       // how often the logs link had been lost at ended_at
  };

  void on_batch(const Batch& batch) override;
  void on_gap(const LogGap& gap, const LogCursor& cursor) override;
  void on_wrong_type() override;
  void on_record(const Record& record) override;
  void on_record_gone() override;
  bool is_ready() const override { return !condemned() && resources_.log_reader.up(); }
  void on_outcome(Access access, const Record* record) override;
  void on_redis_up() override;
  void on_drained() override { proceed(); }
  void on_reminder() override;
  void send_position() override;

  void on_opening_tail(LogRead::Outcome outcome, const LogTail& tail);
  void proceed();
  void on_read(const LogRead& read);
  bool handle_failure(LogRead::Outcome outcome);
  void join();
  void send_gap(const LogGap& gap);
  void send_gap_before(const LogTail& tail);
  void begin_ending(const Record& record);
  TimePoint silent_at() const;
  void wait_for_silence();
  void on_final_look(JobRecords::Found found, const Record* record);
  void on_final_tail(LogRead::Outcome outcome, const LogTail& tail);
  void confirm_end();
  void read_anew(const LogTail& tail);
  bool reached_end() const { return final_ && cursor_.position() >= *final_; }
  bool is_tail_refused(LogRead::Outcome outcome);
  void forget_end_of_log();
  void forget_ending();
  void finish(EntryId last);
  void end_without_log();

  const Resources& resources_;
  std::string key_;
  Phase phase_ = Phase::kOpening;
  LogCursor cursor_;
  ReadPace pace_;
  bool caught_up_ = false;  // the last read reached the log's end; only then may the stream join the feed
  std::unique_ptr<Record> record_;    // while opening: the record just read
  std::unique_ptr<Ending> ending_;    // null: the job has not ended
  std::optional<EntryId> final_;      // the stream ends after this entry; none: the log may still grow
  std::unique_ptr<Opening> opening_;  // null once the stream is open
  JobRecords::Look look_;
  RedisCall tail_;
  LogReader::Read reading_;
  Hub::Subscription subscription_;
  LogFeeds::Follow follow_;
  JobRecords::Watch watch_;
};

}  // namespace tailgate
