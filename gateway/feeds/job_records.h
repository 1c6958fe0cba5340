// JobRecords: reads jobs' records from Redis, when a stream opens and then when they change.
//
// Knows one link to Redis and how a rule reads a hash; knows no stream.  A *look* is one read of one job's
// record.  All calls of look() for one job in one turn of the loop share one command.  It is sent at the end
// of the turn, so the reply is newer than every event that caused one of these calls.  KeyWakeups decides
// when the record of a watched job is looked at.
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
#include "gateway/feeds/wakeup_links.h"
#include "gateway/loop/deadlines.h"
#include "gateway/redis/link.h"
#include "gateway/routes/record.h"

namespace tailgate {

class JobRecords : private WakeupLinks::Reader {
  struct PendingLook;
  struct Watched;

 public:
  // kUnavailable: the link is down or was lost.  kRefused: Redis answered with an error.
  enum class Found { kRecord, kNothing, kWrongType, kUnavailable, kRefused };
  using Done = std::function<void(Found, const Record*)>;

  // Lease: one look under way.  `done` is not called after the lease has died.
  using Look = LeasedCall<Found, const Record*>::Lease;

  // Called from the loop.  Inside these calls no watch may begin or end.
  class Observer {
   public:
    // The owner or the status has changed.  Also called at the next look if a new watch of the same job has
    // begun with another owner or status.
    virtual void on_record(const Record& record) = 0;
    // There has been no record for `gone_after`.  Called again at each look until there is a record.
    virtual void on_record_gone() = 0;

   protected:
    ~Observer() = default;
  };

  // Lease: an observer's watch of a job's record.
  using Watch = LeaseList<Observer*>::Lease;

  // `wakeups` is redis.wakeups of the configuration.
  JobRecords(const Loop& loop, RedisLink& link, ChannelFeeds& channels, Deadlines& deadlines,
             std::string_view wakeups, std::chrono::milliseconds gone_after = std::chrono::seconds(10));
  ~JobRecords() override;
  JobRecords(const JobRecords&) = delete;
  JobRecords& operator=(const JobRecords&) = delete;

  // Reads the record in the hash `key`.  `rule` must outlive the look.
  [[nodiscard]] Look look(const RecordRule& rule, const std::string& key, Done done);

  // Reports each change of owner or status after `known` to `observer`: some milliseconds late while Redis
  // announces changes (up to a second if the record changes all the time), else up to 1.1 s late.  `rule` and
  // `observer` must outlive the watch.
  [[nodiscard]] Watch watch(const RecordRule& rule, const std::string& key, const Record& known,
                            Observer& observer);

  // Call this when `link` has come up.  Looks at all watched jobs.
  void on_up();

  std::uint64_t looks() const { return looks_; }
  // See WakeupLinks.
  std::string_view woken_by() const { return wakeups_.woken_by(); }
  void write_metrics(MetricsText& out) const;

 private:
  friend struct Watched;
  // WakeupLinks::Reader
  void read(WakeupLinks::Key& key) override;

  void send_pending();
  RedisCall ask(const std::string& key, const std::vector<std::string>& fields, ReplyCall call);
  static void parse(const RecordRule& rule, const std::string& key, const std::vector<std::string>& fields,
                    const redisReply* reply, const Done& done);

  RedisLink& link_;
  Deadlines& deadlines_;
  const std::chrono::milliseconds gone_after_;
  WakeupLinks wakeups_;
  // The key of both maps is made of the rule and the hash's key.
  std::unordered_map<std::string, std::unique_ptr<PendingLook>> pending_;  // sent at the end of the turn
  std::unordered_map<std::string, std::unique_ptr<Watched>> watched_;
  std::list<std::unique_ptr<PendingLook>> sent_;
  std::uint64_t looks_ = 0;
  TurnEnd turn_end_;
};

}  // namespace tailgate
