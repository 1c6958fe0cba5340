#include "gateway/feeds/log_feeds.h"

#include <chrono>
#include <utility>

namespace tailgate {

namespace {

// Announcements may get lost.  So a log is read about this long after its last read.
constexpr std::chrono::milliseconds kSweep{2000};

KeyWakeups::ReadResult result_of(const LogRead& read) {
  if (read.outcome != LogRead::Outcome::kRead) return KeyWakeups::ReadResult::kFailed;
  if (!read.entries.empty()) return KeyWakeups::ReadResult::kWritten;
  return read.gap ? KeyWakeups::ReadResult::kChanged : KeyWakeups::ReadResult::kUnchanged;
}

}  // namespace

// The live reader of one log.  Each WakeupLinks::Key of LogFeeds is a Feed.
struct LogFeeds::Feed : WakeupLinks::Key {
  Feed(LogFeeds& feeds, std::string its_name, const LogCursor& at)
      : Key(std::move(its_name)), cursor(at), observers([this, &feeds] { feeds.on_unfollowed(*this); }) {}

  LogCursor cursor;
  ReadPace pace;
  LeaseList<Observer*> observers;
  LogReader::Read reading;
};

LogFeeds::LogFeeds(const Loop& loop, RedisLink& link, LogReader& reader, ChannelFeeds& channels, Hub& hub,
                   std::string_view wakeups)
    : reader_(reader),
      hub_(hub),
      wakeups_(loop, link, channels,
               {.mode = WakeupLinks::mode_of(wakeups),
                .commands = {"xadd"},
                .always_trusts_notifications = true,
                .checks_growth = true,
                .sweep_trusted = kSweep,
                .sweep_untrusted = kSweep},
               WakeupLinks::Kind::kLog, *this) {
}

LogFeeds::~LogFeeds() = default;

LogFeeds::Feed* LogFeeds::find(std::string_view key) const {
  const auto found = feeds_.find(key);
  return found == feeds_.end() ? nullptr : found->second.get();
}

std::optional<EntryId> LogFeeds::position(std::string_view key) const {
  const Feed* feed = find(key);
  return feed == nullptr ? std::nullopt : std::optional(feed->cursor.position());
}

LogFeeds::Follow LogFeeds::follow(const std::string& key, const LogCursor& at, Observer& observer) {
  std::unique_ptr<Feed>& feed = feeds_[key];
  if (!feed) {
    feed = std::make_unique<Feed>(*this, key, at);
    wakeups_.watch(*feed);
    wakeups_.read_soon(*feed);
  }
  return feed->observers.add(&observer);
}

void LogFeeds::on_unfollowed(Feed& feed) {
  wakeups_.unwatch(feed);
  feeds_.erase(feeds_.find(feed.name));
}

void LogFeeds::read_soon(std::string_view key) {
  if (Feed* feed = find(key)) wakeups_.read_soon(*feed);
}

void LogFeeds::write_metrics(MetricsText& out) const {
  out.gauge("tailgate_logs_followed", "Redis Streams that have a live reader.", followed());
  wakeups_.write_metrics(out);
}

void LogFeeds::on_read(Feed& feed, const LogRead& read) {
  wakeups_.on_read_ended(feed, result_of(read), read.more);
  if (read.outcome == LogRead::Outcome::kWrongType) {
    feed.observers.for_each([](Observer* observer) { observer->on_wrong_type(); });
  }
  if (read.gap) {
    hub_.flush(topic(feed.name));
    feed.observers.for_each([&](Observer* observer) { observer->on_gap(*read.gap, feed.cursor); });
  }
  if (!read.entries.empty()) hub_.publish(topic(feed.name), read.entries);
}

// ---- WakeupLinks::Reader ----------------------------------------------------------------------------

void LogFeeds::read(WakeupLinks::Key& key) {
  Feed& feed = static_cast<Feed&>(key);
  feed.reading = reader_.read(feed.name, feed.cursor, feed.pace, LogReader::Start::kAtOnce,
                              [this, &feed](const LogRead& read) { on_read(feed, read); });
}

void LogFeeds::check_for_growth(std::span<KeyWakeups::Key* const> keys) {
  std::erase_if(checks_, [](const RedisCall& call) { return !call.under_way(); });
  std::vector<LogReader::Position> logs;
  std::vector<std::string> names;  // not Feed pointers: some feeds may have ended before Redis answers
  for (const KeyWakeups::Key* key : keys) {
    const Feed& feed = static_cast<const Feed&>(*key);
    logs.push_back({.key = feed.name, .last = feed.cursor.position()});
    names.push_back(feed.name);
  }
  checks_.push_back(reader_.check_for_growth(
      logs, [this, names = std::move(names)](const LogReader::Grown& grown) { on_checked(names, grown); }));
}

void LogFeeds::on_checked(const std::vector<std::string>& keys, const LogReader::Grown& grown) {
  KeyWakeups& wakeups = wakeups_.wakeups();
  wakeups.on_check_ended();
  if (grown) {
    // The check of this key alone gave no error, so the key is not, or no longer, the cause of an error.
    if (Feed* feed = keys.size() == 1 ? find(keys.front()) : nullptr) wakeups.check_together(*feed);
    for (const std::string_view key : *grown) read_soon(key);
    return;
  }
  for (const std::string& key : keys) {
    if (Feed* feed = find(key)) wakeups.check_alone(*feed);
  }
}

}  // namespace tailgate
