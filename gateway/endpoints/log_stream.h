// LogStream: one client's stream of one log, live or resumed.
//
// Either tails (the log's live feed hands it batches) or is behind (it reads by
// itself, from its own cursor, as its client drains).  A slow client costs no memory: it stops being fed
// and reads on later.  It joins the feed when its cursor has reached the feed's; entries it already has
// are cut from the first batch by their ids.
#pragma once

#include "gateway/feeds/hub.h"
#include "gateway/feeds/log_cursor.h"
#include "gateway/streams/services.h"
#include "gateway/streams/stream.h"

namespace tailgate {

class LogStream final : public Stream,
                        private Receiver,
                        private LogFeeds::Observer,
                        private JobRecords::Observer {
 public:
  LogStream(Services& services, Request request);

  // Precondition: has been added to Streams.
  void start();
  DrainTurn drain_turn() const override { return DrainTurn::kLate; }

 private:
  enum class Phase {
    kOpening,  // the record, then the log's tail are being asked for
    kBehind,   // reads by itself
    kTailing,  // is fed
  };

  void on_batch(const Batch& batch) override;
  void on_gap(const LogGap& gap, const LogCursor& cursor) override;
  void on_wrong_type() override;
  void on_record(const Record& record) override;
  void on_record_gone() override;
  void on_redis_up() override;
  void on_opening_late() override;
  void on_drained() override;
  void on_reminder() override;

  void open_up();
  void on_looked(JobRecords::Found found, const Record* record);
  void on_opening_tail(LogRead::Outcome outcome, const LogTail& tail);
  void proceed();
  void on_read(const LogRead& read);
  void join();
  void send_gap(const LogGap& gap);
  void end_at_tail(const Record& record);
  void on_final_tail(LogRead::Outcome outcome, const LogTail& tail);
  bool reached_end() const { return final_ && cursor_.position() >= *final_; }
  void finish();
  bool full() const { return backlog() > 0; }

  Services& services_;
  std::string key_;
  Phase phase_ = Phase::kOpening;
  TimePoint accepted_;
  LogCursor cursor_;
  ReadPace pace_;
  bool caught_up_ = false;          // what was read just now is all there is; else it may not join
  std::unique_ptr<Record> record_;  // the terminal one, or (while opening) the one just read
  std::optional<EntryId> final_;    // everything up to here, and then the end
  JobRecords::Look look_;
  RedisCall tail_;
  LogReader::Read reading_;
  Hub::Subscription subscription_;
  LogFeeds::Follow follow_;
  JobRecords::Watch watch_;
};

}  // namespace tailgate
