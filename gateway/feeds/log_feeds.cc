#include "gateway/feeds/log_feeds.h"

#include <algorithm>
#include <array>
#include <utility>

#include "gateway/base/log.h"

namespace tailgate {

namespace {

// Replaces ReadRest::kHalfOfLines while tracking is trusted.  Tracking costs Redis more than notifications,
// so more lines share one wake-up.
constexpr std::chrono::microseconds kHalfOfTrackedLines{1500};
// ReadRest counts one read as at most this many lines.
constexpr std::size_t kLinesCounted = 4;

KeyWakeups::Mode mode_of(std::string_view wakeups) {
  if (wakeups == "notifications") return KeyWakeups::Mode::kNotifications;
  return wakeups == "sweep" ? KeyWakeups::Mode::kSweep : KeyWakeups::Mode::kAuto;
}

KeyWakeups::ReadResult result_of(const LogRead& read) {
  if (read.outcome != LogRead::Outcome::kRead) return KeyWakeups::ReadResult::kFailed;
  if (!read.entries.empty()) return KeyWakeups::ReadResult::kGrew;
  return read.gap ? KeyWakeups::ReadResult::kChanged : KeyWakeups::ReadResult::kUnchanged;
}

}  // namespace

// The live reader of one log.  Each KeyWakeups::Key of LogFeeds is a Feed.
struct LogFeeds::Feed : KeyWakeups::Key {
  Feed(LogFeeds& feeds, std::string name, const LogCursor& at)
      : key(std::move(name)), cursor(at), observers([this, &feeds] { feeds.on_unfollowed(*this); }) {}

  const std::string key;
  LogCursor cursor;
  ReadPace pace;
  LeaseList<Observer*> observers;
  LogReader::Read reading;
};

LogFeeds::LogFeeds(const Loop& loop, LogReader& reader, ChannelFeeds& channels, Hub& hub,
                   const std::string& wakeups)
    : reader_(reader),
      channels_(channels),
      hub_(hub),
      wakeups_(*this, mode_of(wakeups), "xadd"),
      sweep_(loop, [this] { wakeups_.sweep(Loop::now()); }),
      turn_end_(loop, [this] { wakeups_.start_reads(Loop::now()); }) {
  channels_.set_key_events(
      {.on_notified =
           [this](std::string_view key, std::string_view command) {
             if (Feed* feed = find(key)) wakeups_.on_notified(*feed, command);
           },
       .on_watched = [this](std::string_view key) { read_soon(key); },
       .on_invalidated =
           [this](std::string_view key) {
             if (key.empty()) return wakeups_.on_all_invalidated();
             if (Feed* feed = find(key)) wakeups_.on_invalidated(*feed);
           },
       .on_invalidations_confirmed = [this] { wakeups_.on_invalidations_confirmed(Loop::now()); }});
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
    if (wakeups_.wants_notifications()) channels_.watch_key(key);
    wakeups_.watch(*feed, Loop::now());
  }
  return feed->observers.add(&observer);
}

void LogFeeds::on_unfollowed(Feed& feed) {
  if (wakeups_.wants_notifications()) channels_.unwatch_key(feed.key);
  wakeups_.unwatch(feed);
  feeds_.erase(feeds_.find(feed.key));
}

void LogFeeds::read_soon(std::string_view key) {
  if (Feed* feed = find(key)) wakeups_.read_soon(*feed);
}

std::string_view LogFeeds::woken_by() const {
  // In the order of the enumerators.
  constexpr std::array<std::string_view, 3> kNames = {"sweep", "tracking", "notifications"};
  return kNames.at(static_cast<std::size_t>(wakeups_.trusted()));
}

void LogFeeds::write_metrics(MetricsText& out) const {
  out.gauge("tailgate_logs_followed", "Redis Streams that have a live reader.", followed());
  out.begin(
      "tailgate_log_wakeups", MetricsText::Type::kGauge,
      "1 for what wakes the readers of logs: notifications or tracking by Redis, or a sweep of our own.");
  for (const std::string_view by : {"notifications", "tracking", "sweep"}) {
    out.sample(MetricsText::label("by", by), std::uint64_t{by == woken_by()});
  }
}

void LogFeeds::on_read(Feed& feed, const LogRead& read) {
  const TimePoint now = Loop::now();
  const auto announcer = wakeups_.on_read_ended(feed, result_of(read), read.more, now);
  if (read.outcome == LogRead::Outcome::kWrongType) {
    feed.observers.for_each([](Observer* observer) { observer->on_wrong_type(); });
  }
  if (read.gap) {
    hub_.flush(topic(feed.key));
    feed.observers.for_each([&](Observer* observer) { observer->on_gap(*read.gap, feed.cursor); });
  }
  if (read.entries.empty()) return;
  if (announcer != KeyWakeups::Announcer::kNobody) {
    channels_.note_lines(std::min(read.entries.size(), kLinesCounted), now - feed.read_began());
  }
  hub_.publish(topic(feed.key), read.entries);
}

// ---- KeyWakeups::Owner ------------------------------------------------------------------------------

KeyWakeups::Links LogFeeds::links() const {
  return {.reading = reader_.up(),
          .subscriber = channels_.up(),
          .has_client_id = channels_.client_id() != 0,
          .may_hear_notifications = channels_.may_watch_keys(),
          .may_hear_invalidations = channels_.may_hear_invalidations()};
}

void LogFeeds::read(KeyWakeups::Key& key) {
  Feed& feed = static_cast<Feed&>(key);
  feed.reading = reader_.read(feed.key, feed.cursor, feed.pace, LogReader::Start::kAtOnce,
                              [this, &feed](const LogRead& read) { on_read(feed, read); });
}

void LogFeeds::check_for_growth(std::span<KeyWakeups::Key* const> keys) {
  std::erase_if(checks_, [](const RedisCall& call) { return !call.under_way(); });
  std::vector<LogReader::Position> logs;
  std::vector<std::string> names;  // not Feed pointers: some feeds may have ended before Redis answers
  for (const KeyWakeups::Key* key : keys) {
    const Feed& feed = static_cast<const Feed&>(*key);
    logs.push_back({.key = feed.key, .last = feed.cursor.position()});
    names.push_back(feed.key);
  }
  checks_.push_back(reader_.check_for_growth(
      logs, [this, names = std::move(names)](const LogReader::Grown& grown) { on_checked(names, grown); }));
}

void LogFeeds::on_checked(const std::vector<std::string>& keys, const LogReader::Grown& grown) {
  wakeups_.on_check_ended();
  if (grown) {
    // After a refusal of a moment, or once the key that was the cause is checked alone.
    if (Feed* feed = keys.size() == 1 ? find(keys.front()) : nullptr) wakeups_.check_together(*feed);
    for (const std::string_view key : *grown) read_soon(key);
    return;
  }
  for (const std::string& key : keys) {
    if (Feed* feed = find(key)) wakeups_.check_alone(*feed);
  }
}

void LogFeeds::start_tracking() {
  tracking_ = reader_.track(channels_.client_id(), [this](std::string_view why_refused) {
    wakeups_.on_tracking_answered(why_refused);
  });
}

void LogFeeds::on_trust_changed(KeyWakeups::Announcer announcer, std::string_view why) {
  log_info("log.wakeups", {{"by", woken_by()}, {"why", why}});
  channels_.set_half_of_lines(announcer == KeyWakeups::Announcer::kTracking ? kHalfOfTrackedLines
                                                                            : ReadRest::kHalfOfLines);
}

void LogFeeds::on_tracking_refused(std::string_view why) {
  log_warning("log.wakeups_refused", {{"of", "tracking"}, {"why", why}});
}

}  // namespace tailgate
