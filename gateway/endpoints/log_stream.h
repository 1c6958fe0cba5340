// LogStream: one client's stream of one log, live or resumed.
//
// A stream either *tails* (the log's live feed sends it batches) or is *behind* (it reads by itself, whenever
// its client has received everything).  So a slow client costs no memory.  A stream joins the feed when its
// cursor has reached the feed's cursor.  Entries that were sent already are cut from the first batch.  When
// Redis is lost, an open stream stays open and does nothing.  When Redis is back, the stream reads on from
// its cursor (on_redis_up()), which detects gaps.
//
// Workers write their last lines after the terminal status.  So a stream whose job has ended goes on until
// the log has been silent for the route's `end_grace`.  Then it reads the log's tail, sends everything up to
// the tail, and ends.
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
    TimePoint ended_at;             // when the stream learned of the end
    TimePoint last_entry_at;        // when the newest entry came, or ended_at
    std::optional<EntryId> newest;  // the log's last entry, when its tail was last read
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

  void on_opening_tail(LogRead::Outcome outcome, const LogTail& tail);
  void proceed();
  void on_read(const LogRead& read);
  bool handle_failure(LogRead::Outcome outcome);
  void join();
  void send_gap(const LogGap& gap);
  void begin_ending(const Record& record);
  TimePoint silent_at() const;
  void wait_for_silence();
  void on_final_tail(LogRead::Outcome outcome, const LogTail& tail);
  bool reached_end() const { return final_ && cursor_.position() >= *final_; }
  void finish();
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
  RedisCall tail_;
  LogReader::Read reading_;
  Hub::Subscription subscription_;
  LogFeeds::Follow follow_;
  JobRecords::Watch watch_;
};

}  // namespace tailgate
