// Opening: decides whether a caller may see a job, before its stream or page begins.
//
// Waits until the source can be read, then reads the job's record.  Repeats the read while Redis does not
// answer or refuses it, and for a limited time while the record is missing or another caller's.  Knows
// records and time limits; knows no source, response or status code.  After a loss of Redis, an open
// ChannelStream uses another Opening.  That Opening waits for Redis without a limit, but gives up if Redis
// goes on refusing the record.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "gateway/feeds/job_records.h"
#include "gateway/feeds/status_endpoint.h"
#include "gateway/loop/deadlines.h"
#include "gateway/streams/request.h"

namespace tailgate {

class Opening final : private Wheel::Entry {
 public:
  class Observer {
   public:
    // Returns true if the source can be read now.  Called before and after the record is read.
    virtual bool is_ready() const = 0;
    // `record` is null if `access` is not kAllowed or the route has no record.  The observer may destroy the
    // Opening in this call.
    virtual void on_outcome(Access access, const Record* record) = 0;

   protected:
    ~Observer() = default;
  };

  struct Sources {
    JobRecords& records;
    StatusEndpoint& applications;
    Deadlines& deadlines;
  };
  struct TimeLimits {
    // How long to wait for Redis before kUnavailable; 0: no limit.  The wait for a missing record and the
    // wait for an application's answer have limits of their own, which may be longer.
    std::chrono::milliseconds redis{0};
    std::chrono::milliseconds record{0};  // how long to reread a record that is missing or another caller's
  };

  // `sources`, `request` and `observer` must outlive the Opening.  Reads nothing before advance().
  Opening(const Sources& sources, const Request& request, TimeLimits limits, Observer& observer);
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;

  // Reads the record now, unless it is being read or the source is not ready.
  void advance();
  // Call this when the source is lost.  Cancels a read that is under way, and waits for advance().
  void restart();
  // Reads the record again in half a second.  Call this after kAllowed if the source cannot be read.
  void try_again();
  // The Retry-After of an application that did not allow the request; may be empty.
  const std::string& retry_after() const { return retry_after_; }

 private:
  enum class Phase {
    kWaiting,  // for the source
    kReading,  // the record
    kPausing,  // until retry_at_
    kDone,     // the outcome was given
  };

  void on_due(TimePoint now) override;
  void on_read(JobRecords::Found found, const Record* record);
  void on_answered(const StatusAnswer& answer);
  void on_missing(Access access);
  void pause(TimePoint until);
  // Moves the end of the wait for Redis to `when`, unless the end is later already or there is none.  Call
  // this before a wait that is not a wait for Redis.
  void allow_until(TimePoint when);
  void schedule();
  void report(Access access, const Record* record = nullptr);

  const Sources& sources_;
  const Request& request_;
  Observer& observer_;
  std::chrono::milliseconds redis_limit_;
  TimePoint late_at_ = TimePoint::max();  // the end of the wait for an answer; max(): never
  TimePoint record_until_;                // until then, a missing or foreign record is reread
  TimePoint retry_at_ = TimePoint::max();
  Phase phase_ = Phase::kWaiting;
  std::optional<TimePoint> refused_since_;  // since when Redis has refused each read of the record
  JobRecords::Look look_;
  StatusEndpoint::Question question_;
  std::string retry_after_;
};

}  // namespace tailgate
