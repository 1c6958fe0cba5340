// JobRecords: reads jobs' records from Redis, when a stream opens and then about once a second.
//
// Knows the command link and how a rule reads a hash; knows no stream.  A *look* is one read of one job's
// record.  All looks at a job in one turn of the loop share one command.  The command is sent at the end of
// the turn, after every event that caused a look.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/base/lease.h"
#include "gateway/base/metrics_text.h"
#include "gateway/loop/deadlines.h"
#include "gateway/redis/link.h"
#include "gateway/routes/record.h"

namespace tailgate {

class JobRecords {
  struct PendingLook;
  struct Watched;

 public:
  // kUnavailable: the link is down or was lost.  kRefused: Redis answered with an error.
  enum class Found { kRecord, kNothing, kWrongType, kUnavailable, kRefused };
  using Done = std::function<void(Found, const Record*)>;

  // Lease: one look under way.  `done` is not called after the lease has died.
  using Look = LeasedCall<Found, const Record*>::Lease;

  // Called from the loop, only when the record has changed.  Inside these calls no watch may begin or end.
  class Observer {
   public:
    virtual void on_record(const Record& record) = 0;
    // There has been no record for `gone_after`.
    virtual void on_record_gone() = 0;

   protected:
    ~Observer() = default;
  };

  // Lease: an observer's watch of a job's record.
  using Watch = LeaseList<Observer*>::Lease;

  JobRecords(const Loop& loop, RedisLink& link, Deadlines& deadlines,
             std::chrono::milliseconds gone_after = std::chrono::seconds(10));
  ~JobRecords();
  JobRecords(const JobRecords&) = delete;
  JobRecords& operator=(const JobRecords&) = delete;

  // Reads the record in the hash `key`.  `rule` must outlive the look.
  [[nodiscard]] Look look(const RecordRule& rule, const std::string& key, Done done);

  // Reports each change after `known` to `observer`, at most 1.2 s late.  `rule` and `observer` must outlive
  // the watch.
  [[nodiscard]] Watch watch(const RecordRule& rule, const std::string& key, const Record& known,
                            Observer& observer);

  std::uint64_t looks() const { return looks_; }
  void write_metrics(MetricsText& out) const;

 private:
  friend struct Watched;
  void send_pending();
  RedisCall ask(const std::string& key, const std::vector<std::string>& fields, ReplyCall call);
  static void read(const RecordRule& rule, const std::string& key, const std::vector<std::string>& fields,
                   const redisReply* reply, const Done& done);
  // The time of the next look at a watched job, if a look is sent at `now`.
  TimePoint next_look(TimePoint now) const;

  RedisLink& link_;
  Deadlines& deadlines_;
  const std::chrono::milliseconds gone_after_;
  // The key of both maps is made of the rule and the hash's key.
  std::unordered_map<std::string, std::unique_ptr<PendingLook>> pending_;  // sent at the end of the turn
  std::unordered_map<std::string, std::unique_ptr<Watched>> watched_;
  std::list<std::unique_ptr<PendingLook>> sent_;
  std::uint64_t looks_ = 0;
  TurnEnd turn_end_;
};

}  // namespace tailgate
