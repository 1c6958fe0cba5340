// JobRecords: reads jobs' records from Redis, once for an opening and then about once a second.
//
// Knows the command link and how a rule reads a hash; knows no stream.  Looks at one job that are asked for
// in one turn of the loop become one command, which is sent at the end of the turn: so every look is later
// than the event that caused it.
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
  enum class Found { kRecord, kNothing, kWrongType, kUnavailable };
  using Done = std::function<void(Found, const Record*)>;

  // One look under way.  `done` is not called after it has died.
  using Look = LeasedCall<Found, const Record*>::Lease;

  // Called from the loop, only when the record has changed.  Inside these calls no watch may begin or end.
  class Observer {
   public:
    virtual void on_record(const Record& record) = 0;
    // There has been no record for ten seconds.
    virtual void on_record_gone() = 0;

   protected:
    ~Observer() = default;
  };

  // An observer's watch of a job's record; ends when it dies.
  using Watch = LeaseList<Observer*>::Lease;

  JobRecords(const Loop& loop, RedisLink& link, Deadlines& deadlines);
  ~JobRecords();
  JobRecords(const JobRecords&) = delete;
  JobRecords& operator=(const JobRecords&) = delete;

  // The record of job `id`, read after this call.  `rule` outlives the look.
  [[nodiscard]] Look look(const RecordRule& rule, const std::string& id, Done done);

  // Tells `observer` each change from `known` on, at most 1.2 s late.  `rule` and `observer` outlive the
  // watch.
  [[nodiscard]] Watch watch(const RecordRule& rule, const std::string& id, const Record& known,
                            Observer& observer);

  std::uint64_t looks() const { return looks_; }
  void write_metrics(MetricsText& out) const;

 private:
  friend struct Watched;
  void send_pending();
  RedisCall ask(const RecordRule& rule, const std::string& id, const std::vector<std::string>& fields,
                ReplyCall call);
  static void read(const RecordRule& rule, const std::string& id, const std::vector<std::string>& fields,
                   const redisReply* reply, const Done& done);
  // When a job that is looked at now will be looked at again.
  TimePoint next_look(TimePoint now) const;

  RedisLink& link_;
  Deadlines& deadlines_;
  // By rule and id.
  std::unordered_map<std::string, std::unique_ptr<PendingLook>> pending_;  // sent at the end of the turn
  std::unordered_map<std::string, std::unique_ptr<Watched>> watched_;
  std::list<std::unique_ptr<PendingLook>> sent_;
  std::uint64_t looks_ = 0;
  TurnEnd turn_end_;
};

}  // namespace tailgate
