// LogReader: reads logs (Redis Streams) and detects gaps.
//
// Knows XRANGE, XREAD, XINFO STREAM and the rules of LogCursor.  Knows no stream and no route.  Does not
// decide when to read: KeyWakeups decides for the live feeds, LogStream for its own reads.  At most 16 queued
// reads are under way at once, so that many clients that reconnect together neither flood Redis nor delay the
// live feeds.  The link must be up at every call.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gateway/feeds/log_cursor.h"
#include "gateway/redis/link.h"
#include "gateway/routes/framing.h"

namespace tailgate {

// How many entries a read requests.  The number adapts to the size of the entries, so that one answer stays
// within a few hundred kilobytes.
struct ReadPace {
  unsigned count = 32;
  void adapt(std::size_t entries, std::size_t bytes);
  // Call this after a read without an answer.  Redis may have closed the link because the answer exceeded
  // client-output-buffer-limit.
  void shrink();
};

// Reads one element of an XRANGE answer, as views into it, and adds the size of its values to `bytes`.
std::optional<LogEntry> read_entry(const redisReply& reply, std::size_t& bytes);

struct LogRead {
  enum class Outcome { kRead, kWrongType, kUnavailable };
  Outcome outcome = Outcome::kRead;
  std::optional<LogGap> gap{};          // with a gap, `entries` is empty and `more` is true
  std::span<const LogEntry> entries{};  // valid during the call
  bool more = false;                    // there is probably more to read
};

class LogReader {
  struct PendingRead;

 public:
  using Done = std::function<void(const LogRead&)>;
  using TailDone = std::function<void(LogRead::Outcome, const LogTail&)>;

  // Lease: one read.  A queued read leaves the queue when its lease dies; an answer that comes later is
  // dropped.
  class Read {
   public:
    bool under_way() const;

   private:
    friend class LogReader;
    std::unique_ptr<PendingRead> pending_;
  };

  enum class Start { kAtOnce, kQueued };

  explicit LogReader(RedisLink& link) : link_(link) {}
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  // Reads the entries after `cursor` up to `until` (none: up to the end of the log), moves `cursor` past them
  // and then calls `done`.  `cursor` and `pace` must outlive the read.
  [[nodiscard]] Read read(const std::string& key, LogCursor& cursor, ReadPace& pace, Start when, Done done,
                          std::optional<EntryId> until = {});
  [[nodiscard]] RedisCall tail(const std::string& key, TailDone done);

  struct Position {
    std::string_view key;
    EntryId last;  // the last entry that was read
  };
  // The keys of the logs that have grown; nothing if Redis answered with an error.  One key may be the cause:
  // it holds no log or is not permitted.  Another cause is a Redis Cluster with the keys in different slots.
  using Grown = std::optional<std::vector<std::string_view>>;
  // Asks in one command which logs have an entry after `last`.
  [[nodiscard]] RedisCall check_for_growth(std::span<const Position> logs,
                                           std::function<void(const Grown& grown)> done);

  bool up() const { return link_.up(); }
  std::uint64_t times_lost() const { return link_.times_lost(); }

 private:
  void start(PendingRead& pending);
  void finish(PendingRead& pending, const LogRead& read);
  void start_next();

  RedisLink& link_;
  std::deque<PendingRead*> queue_;
  unsigned queued_under_way_ = 0;
  bool starting_ = false;  // start_next() is on the call stack
};

// One read, queued or under way.
struct LogReader::PendingRead {
  ~PendingRead();

  LogReader* reader = nullptr;  // null once finished
  std::string key;
  LogCursor* cursor = nullptr;
  ReadPace* pace = nullptr;
  Done done;
  std::optional<EntryId> until;
  bool is_queued = false;
  bool counts = false;  // is counted in queued_under_way_
  RedisCall call;

  // Copies of the entries, kept until the answer to XINFO STREAM shows whether some are missing.
  struct Kept {
    EntryId id;
    std::vector<std::pair<std::string, std::string>> fields;
  };
  std::vector<Kept> kept;
  bool more = false;

  void on_range(const redisReply* reply);
  void on_doubt(const redisReply* reply);
};

inline bool LogReader::Read::under_way() const {
  return pending_ != nullptr && pending_->reader != nullptr;
}

}  // namespace tailgate
