// JobRecords: looks at jobs' records in Redis, once for an opening and then about once a second.
//
// Knows the command link and how a rule reads a hash; knows no stream.  Looks that are
// asked for in one turn of the loop for one job are one command, sent at the turn's end: so every look
// is later than what asked for it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

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

  // One look under way.  Destroying it makes sure that its answer is never delivered.
  class Look {
   public:
    Look() = default;
    Look(Look&& other) noexcept;
    Look& operator=(Look&& other) noexcept;
    ~Look();
    bool under_way() const { return pending_ != nullptr; }

   private:
    friend class JobRecords;
    PendingLook* pending_ = nullptr;
    std::size_t index_ = 0;
  };

  // Called from the loop, at a change only; in neither may a observer die.
  class Observer {
   public:
    virtual void on_record(const Record& record) = 0;
    // There has been no record for ten seconds.
    virtual void on_record_gone() = 0;

   protected:
    ~Observer() = default;
  };

  // The interest in a job's record; ends when it dies.
  class Watch {
   public:
    Watch() = default;
    Watch(Watch&& other) noexcept;
    Watch& operator=(Watch&& other) noexcept;
    ~Watch();

   private:
    friend class JobRecords;
    JobRecords* records_ = nullptr;
    Watched* watched_ = nullptr;
    Observer* observer_ = nullptr;
    std::size_t index_ = 0;
  };

  JobRecords(const Loop& loop, RedisLink& link, Deadlines& deadlines);
  ~JobRecords();
  JobRecords(const JobRecords&) = delete;
  JobRecords& operator=(const JobRecords&) = delete;

  // The record of job `id`, read after this call.  `rule` outlives the look.
  [[nodiscard]] Look look(const RecordRule& rule, const std::string& id, Done done);

  // Tells `observer` whatever changes from `known` on, at most 1.2 s late.
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
  void leave(Watch& watch);
  // When a job that is looked at now is looked at again.
  TimePoint next_look(TimePoint now) const;

  RedisLink& link_;
  Deadlines& deadlines_;
  std::unordered_map<std::string, PendingLook*>
      pending_;  // to be sent at the end of the turn, by rule and id
  std::unordered_map<std::string, std::unique_ptr<Watched>> watched_;
  std::uint64_t looks_ = 0;
  TurnEnd turn_end_;
};

}  // namespace tailgate
