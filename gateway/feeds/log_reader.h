// LogReader: reads logs by single key, without losing an entry silently.
//
// Knows XRANGE, XINFO STREAM, CLIENT TRACKING and LogCursor's rules; knows no stream and no
// route.  Reads for clients that are behind are taken in turn, so many of them at once, so that one reconnect
// storm neither floods Redis nor delays the live feeds.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gateway/feeds/log_cursor.h"
#include "gateway/redis/link.h"
#include "gateway/routes/framing.h"

namespace tailgate {

// How many entries a reader asks for: adapts, so that one answer stays within a few hundred kilobytes.
struct ReadPace {
  unsigned count = 32;
  void adapt(std::size_t entries, std::size_t bytes);
  // The answer never came: perhaps it was more than Redis keeps for one client.
  void shrink();
};

// One element of what XRANGE answers; adds to `bytes` what its values hold.  The entry's views point into
// the reply.
std::optional<LogEntry> read_entry(const redisReply& reply, std::size_t& bytes);

struct LogRead {
  enum class Outcome { kRead, kWrongType, kUnavailable };
  Outcome outcome = Outcome::kRead;
  std::optional<LogGap> gap;          // comes before the entries; then there are none, and `more`
  std::span<const LogEntry> entries;  // live during the call
  bool more = false;                  // there is probably more to read
};

class LogReader {
  struct Job;

 public:
  // One read under way.  Destroying it makes sure that its answer is never delivered.
  class Read {
   public:
    Read();
    explicit Read(std::unique_ptr<Job> job);
    Read(Read&&) noexcept;
    Read& operator=(Read&&) noexcept;
    ~Read();
    bool under_way() const;

   private:
    std::unique_ptr<Job> job_;
  };
  using Done = std::function<void(const LogRead&)>;
  using TailDone = std::function<void(LogRead::Outcome, const LogTail&)>;

  enum class Turn { kAtOnce, kQueued };

  explicit LogReader(RedisLink& link);
  ~LogReader();
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  // What comes behind `cursor`, which is advanced accordingly before `done` is called.  `cursor` and
  // `pace` outlive the read.  Precondition: the link is up.
  [[nodiscard]] Read read(const std::string& key, LogCursor& cursor, ReadPace& pace, Turn turn, Done done);
  // Precondition: the link is up.
  [[nodiscard]] RedisCall tail(const std::string& key, TailDone done);
  // Precondition: the link is up.  Asks in one command which logs have an entry behind a position, and calls
  // with their keys, or with nothing when that cannot be told: one of them is no log or not permitted, or a
  // cluster keeps them apart.
  struct Peek {
    std::string_view key;
    EntryId position;
  };
  using Peeked = std::function<void(std::optional<std::vector<std::string_view>>)>;
  [[nodiscard]] RedisCall peek(std::span<const Peek> logs, Peeked done);

  // Has Redis tell connection `client_id` once when a log changes that was read here (CLIENT TRACKING).
  // `done` gets why it refuses, or nothing.  Precondition: the link is up.
  [[nodiscard]] RedisCall track(std::int64_t client_id, std::function<void(std::string_view why)> done);
  // Nobody is told any more.  Precondition: the link is up.
  [[nodiscard]] RedisCall untrack();

  bool up() const { return link_.up(); }
  const RedisLink& link() const { return link_; }

 private:
  void start(Job& job);
  void finish(Job& job, const LogRead& read);
  void start_next();

  RedisLink& link_;
  std::deque<Job*> queue_;
  unsigned queued_under_way_ = 0;
  bool starting_ = false;  // start_next() is at work further up
};

}  // namespace tailgate
