#include "gateway/feeds/log_reader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "gateway/base/log.h"

namespace tailgate {

namespace {

constexpr unsigned kMostQueuedUnderWay = 16;
constexpr unsigned kMostEntries = 512;
constexpr std::size_t kSmallAnswer = 64 * 1024;
constexpr std::size_t kLargeAnswer = 512 * 1024;

// Logs why Redis refused a read of `key`, and returns the outcome of that read.
LogRead::Outcome refused(const std::string& key, const redisReply& reply) {
  static LogValve valve(5, 1);
  if (valve.open(Loop::now())) {
    log_error("log.refused", {{"key", key}, {"why", error_of(reply)}, {"held_back", valve.take_held_back()}});
  }
  return is_wrong_type(reply) ? LogRead::Outcome::kWrongType : LogRead::Outcome::kUnavailable;
}

// Reads the answer to XINFO STREAM `key`, a list in which names and values alternate.
LogRead::Outcome read_tail(const redisReply* reply, const std::string& key, LogTail& tail) {
  if (reply == nullptr) return LogRead::Outcome::kUnavailable;
  if (reply->type != REDIS_REPLY_ARRAY) {
    if (error_of(*reply).starts_with("ERR no such key")) return LogRead::Outcome::kRead;
    return refused(key, *reply);
  }
  tail.exists = true;
  std::size_t ignored = 0;
  for (std::size_t i = 0; i + 1 < reply->elements; i += 2) {
    const std::string_view name = text_of(*reply->element[i]);
    const redisReply& value = *reply->element[i + 1];
    if (name == "length") tail.length = static_cast<std::uint64_t>(value.integer);
    if (name == "entries-added") tail.added = static_cast<std::uint64_t>(value.integer);
    if (name == "last-generated-id") tail.last = EntryId::parse(text_of(value)).value_or(EntryId{});
    if (name == "max-deleted-entry-id") tail.max_deleted = EntryId::parse(text_of(value)).value_or(EntryId{});
    if (name != "first-entry") continue;
    if (const auto entry = read_entry(value, ignored)) tail.first_entry = entry->id;
  }
  return LogRead::Outcome::kRead;
}

}  // namespace

std::optional<LogEntry> read_entry(const redisReply& reply, std::size_t& bytes) {
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements != 2) return std::nullopt;
  const auto id = EntryId::parse(text_of(*reply.element[0]));
  if (!id) return std::nullopt;
  LogEntry entry{.id = *id, .fields = {}};
  const redisReply& fields = *reply.element[1];
  if (fields.type != REDIS_REPLY_ARRAY) return entry;
  entry.fields.reserve(fields.elements / 2);
  for (std::size_t i = 0; i + 1 < fields.elements; i += 2) {
    entry.fields.emplace_back(text_of(*fields.element[i]), text_of(*fields.element[i + 1]));
    bytes += fields.element[i + 1]->type == REDIS_REPLY_STRING
                 ? static_cast<std::size_t>(fields.element[i + 1]->len)
                 : 0;
  }
  return entry;
}

void ReadPace::adapt(std::size_t entries, std::size_t bytes) {
  if (bytes > kLargeAnswer) {
    shrink();
  } else if (bytes < kSmallAnswer && entries >= count) {
    count = std::min(kMostEntries, count * 4);
  }
}

void ReadPace::shrink() {
  count = std::max<unsigned>(1, count / 4);
}

LogReader::PendingRead::~PendingRead() {
  if (reader == nullptr) return;
  if (is_queued) std::erase(reader->queue_, this);
  if (counts) {
    --reader->queued_under_way_;
    reader->start_next();
  }
}

LogReader::Read LogReader::read(const std::string& key, LogCursor& cursor, ReadPace& pace, Start when,
                                Done done, std::optional<EntryId> until) {
  Read handle;
  handle.pending_ = std::make_unique<PendingRead>();
  PendingRead& started = *handle.pending_;
  started.reader = this;
  started.key = key;
  started.cursor = &cursor;
  started.pace = &pace;
  started.done = std::move(done);
  started.until = until;
  if (when == Start::kAtOnce) {
    start(started);
  } else if (queue_.empty() && queued_under_way_ < kMostQueuedUnderWay) {
    started.counts = true;
    ++queued_under_way_;
    start(started);
  } else {
    started.is_queued = true;
    queue_.push_back(&started);
  }
  return handle;
}

void LogReader::start(PendingRead& pending) {
  const EntryId from = pending.cursor->position();
  // Requests one more than pace->count, because the read repeats the entry at the cursor's position.
  const std::string count = std::to_string(pending.pace->count + 1);
  const std::string until = pending.until ? pending.until->text() : "+";
  pending.call =
      link_.command({"XRANGE", pending.key, from.is_zero() ? "-" : from.text(), until, "COUNT", count},
                    [&pending](const redisReply* reply) { pending.on_range(reply); });
}

void LogReader::start_next() {
  if (std::exchange(starting_, true)) return;
  while (!queue_.empty() && queued_under_way_ < kMostQueuedUnderWay) {
    PendingRead& pending = *queue_.front();
    queue_.pop_front();
    pending.is_queued = false;
    if (!link_.up()) {
      finish(pending, {.outcome = LogRead::Outcome::kUnavailable});
      continue;
    }
    pending.counts = true;
    ++queued_under_way_;
    start(pending);
  }
  starting_ = false;
}

void LogReader::finish(PendingRead& pending, const LogRead& read) {
  pending.reader = nullptr;
  if (std::exchange(pending.counts, false)) --queued_under_way_;
  const Done done = std::move(pending.done);
  done(read);  // may start another read with the same lease, which destroys `pending`
  start_next();
}

void LogReader::PendingRead::on_range(const redisReply* reply) {
  LogReader& its_reader = *reader;
  if (reply == nullptr) {
    pace->shrink();
    return its_reader.finish(*this, {.outcome = LogRead::Outcome::kUnavailable});
  }
  if (reply->type != REDIS_REPLY_ARRAY) return its_reader.finish(*this, {.outcome = refused(key, *reply)});
  std::vector<LogEntry> entries;
  entries.reserve(reply->elements);
  std::size_t bytes = 0;
  std::size_t taken = 0;
  // Entries beyond kLargeAnswer are left for the next read, because one answer becomes one batch.
  for (; taken < reply->elements && (bytes < kLargeAnswer || entries.size() < 2); ++taken) {
    if (auto entry = read_entry(*reply->element[taken], bytes)) entries.push_back(std::move(*entry));
  }
  more = taken < reply->elements || reply->elements > pace->count;
  pace->adapt(entries.size(), bytes);

  const auto first = entries.empty() ? std::nullopt : std::optional(entries.front().id);
  if (!cursor->proves_no_gap(first, its_reader.times_lost())) {
    for (const LogEntry& entry : entries) {
      kept.push_back({.id = entry.id, .fields = {entry.fields.begin(), entry.fields.end()}});
    }
    call = its_reader.link_.command({"XINFO", "STREAM", key},
                                    [this](const redisReply* info) { on_doubt(info); });
    return;
  }
  std::span<const LogEntry> fresh(entries);
  if (first == cursor->position()) fresh = fresh.subspan(1);
  if (!fresh.empty()) cursor->advance(fresh.back().id, fresh.size());
  its_reader.finish(*this, {.entries = fresh, .more = more});
}

void LogReader::PendingRead::on_doubt(const redisReply* reply) {
  LogReader& its_reader = *reader;
  LogTail tail;
  tail.connection = its_reader.times_lost();
  if (read_tail(reply, key, tail) != LogRead::Outcome::kRead)
    return its_reader.finish(*this, {.outcome = LogRead::Outcome::kUnavailable});
  if (const auto gap = cursor->resolve_doubt(tail))
    return its_reader.finish(*this, {.gap = gap, .more = true});
  std::vector<LogEntry> entries;
  for (const Kept& copy : kept) {
    entries.push_back({.id = copy.id, .fields = {copy.fields.begin(), copy.fields.end()}});
  }
  if (!entries.empty()) cursor->advance(entries.back().id, entries.size());
  // The entries point into the copies, and finish() may destroy this read.
  const std::vector<Kept> held = std::move(kept);
  its_reader.finish(*this, {.entries = entries, .more = more});
}

RedisCall LogReader::tail(const std::string& key, TailDone done) {
  return link_.command({"XINFO", "STREAM", key},
                       [this, key, done = std::move(done)](const redisReply* reply) {
                         LogTail tail;
                         tail.connection = times_lost();
                         const LogRead::Outcome outcome = read_tail(reply, key, tail);
                         done(outcome, tail);
                       });
}

RedisCall LogReader::check_for_growth(std::span<const Position> logs,
                                      std::function<void(const Grown&)> done) {
  std::vector<std::string> positions;
  positions.reserve(logs.size());
  std::vector<std::string_view> words{"XREAD", "COUNT", "1", "STREAMS"};
  words.reserve(words.size() + 2 * logs.size());
  for (const Position& log : logs) words.push_back(log.key);
  for (const Position& log : logs) words.emplace_back(positions.emplace_back(log.last.text()));
  return link_.command(words, [done = std::move(done)](const redisReply* reply) {
    Grown grown;
    // A null reply is no error: the link was lost, and all logs are read when it is up again.
    if (reply == nullptr || reply->type != REDIS_REPLY_ERROR) grown.emplace();
    if (reply != nullptr && reply->type == REDIS_REPLY_ARRAY) {
      for (std::size_t i = 0; i < reply->elements; ++i) {  // each log that has grown: its key and entries
        const redisReply& log = *reply->element[i];
        if (log.type == REDIS_REPLY_ARRAY && log.elements == 2) grown->push_back(text_of(*log.element[0]));
      }
    }
    done(grown);
  });
}

}  // namespace tailgate
