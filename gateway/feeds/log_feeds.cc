#include "gateway/feeds/log_feeds.h"

#include <algorithm>
#include <utility>

#include "gateway/base/log.h"

namespace tailgate {

namespace {

// While nobody who announces has proven himself, a log is asked about this often …
constexpr std::chrono::milliseconds kFastSweep{21};
// … and one that has been silent less often: each time it has been so for a twentieth longer.  Whoever has
// waited for four seconds does not see a fifth of one …
constexpr int kPartOfSilence = 20;
constexpr std::chrono::milliseconds kSilentSweep{200};
// … both stretched where there is more to ask about than this, so that Redis looks at 48,000 keys a second at
// most …
constexpr std::size_t kFastLogs = 1000;
// … so many in one command: apart they cost it five times as much.
constexpr std::size_t kPeekedTogether = 100;
// Else: in case an announcement got lost, a log that has not been read for this long is read …
constexpr std::chrono::milliseconds kUnread{2000};
// … for which all are looked over this often.
constexpr std::chrono::milliseconds kSlowSweep{500};
// Whoever empties databases without end has all logs read this often.
constexpr std::chrono::milliseconds kFlushes{20};
// Half of all lines are to be with their clients within a millisecond where Redis has been told to notify.
// Tracking costs it more, each read is remembered and forgotten, so more lines share one waking up.
constexpr std::chrono::microseconds kHalfOfTrackedLines{1500};
// One read says no more than this of how many lines a rest would bring.
constexpr std::size_t kLinesCounted = 4;
// How long an announcement may be behind the sweep before it counts as missing.
constexpr std::chrono::milliseconds kLate{250};
// Notifications of which one was missing are not believed for this long: a log that is renamed into place is
// announced by tracking only.
constexpr std::chrono::minutes kDisbelief{1};

}  // namespace

struct LogFeeds::Feed {
  std::string key;
  LogCursor cursor;
  ReadPace pace;
  std::vector<Follow*> follows;
  bool dirty = false;              // to be read at the end of the turn
  bool again = false;              // something happened while a read was under way
  Announcer announced{};           // who spoke since the last read
  bool swept = false;              // the next read is the slow sweep's
  bool apart = false;              // asked about together with others Redis gave an error
  std::optional<TimePoint> found;  // when the sweep saw what nobody had announced
  TimePoint checked{};             // the last inclusive read, which also sees trimming
  TimePoint grew = Loop::now();    // when entries came the last time
  TimePoint peek_at{};             // not before this it is asked about again
  LogReader::Read reading;
};

LogFeeds::Follow::Follow(Follow&& other) noexcept {
  *this = std::move(other);
}

LogFeeds::Follow& LogFeeds::Follow::operator=(Follow&& other) noexcept {
  if (this == &other) return *this;
  if (feeds_ != nullptr) feeds_->leave(*this);
  feeds_ = std::exchange(other.feeds_, nullptr);
  feed_ = other.feed_;
  observer_ = other.observer_;
  index_ = other.index_;
  if (feeds_ != nullptr) feed_->follows[index_] = this;
  return *this;
}

LogFeeds::Follow::~Follow() {
  if (feeds_ != nullptr) feeds_->leave(*this);
}

LogFeeds::LogFeeds(const Loop& loop, LogReader& reader, ChannelFeeds& channels, Hub& hub,
                   const std::string& wakeups)
    : reader_(reader),
      channels_(channels),
      hub_(hub),
      wakeups_(wakeups == "notifications" ? Wakeups::kNotifications
               : wakeups == "sweep"       ? Wakeups::kSweep
                                          : Wakeups::kAuto),
      by_(wakeups_ == Wakeups::kNotifications ? Announcer::kNotifications : Announcer::kNobody),
      flushed_(loop, [this] { read_all(); }),
      sweep_(loop, [this] { sweep(); }),
      turn_end_(loop, [this] { read_dirty(); }) {
  channels_.set_key_events(
      {.on_up = [this] { update_tracking(); },
       .on_notified = [this](std::string_view key, std::string_view event) { on_notified(key, event); },
       .on_watched = [this](std::string_view key) { kick(std::string(key)); },
       .on_invalidated = [this](std::string_view key) { on_invalidated(key); },
       .on_hearing = [this] { on_hearing(); }});
}

LogFeeds::~LogFeeds() = default;

std::optional<EntryId> LogFeeds::position(const std::string& key) const {
  const auto found = feeds_.find(key);
  if (found == feeds_.end()) return std::nullopt;
  return found->second->cursor.position();
}

LogFeeds::Follow LogFeeds::follow(const std::string& key, const LogCursor& at, Observer& observer) {
  std::unique_ptr<Feed>& slot = feeds_[key];
  if (!slot) {
    slot = std::make_unique<Feed>();
    slot->key = key;
    slot->cursor = at;
    if (wakeups_ != Wakeups::kSweep) channels_.watch_key(key);
    update_tracking();
    mark_dirty(*slot);  // what came since `at`
    if (!sweep_.pending()) sweep_.after(sweep_interval());
  }
  Follow follow;
  follow.feeds_ = this;
  follow.feed_ = slot.get();
  follow.observer_ = &observer;
  follow.index_ = slot->follows.size();
  slot->follows.push_back(&follow);
  return follow;
}

void LogFeeds::leave(Follow& follow) {
  Feed& feed = *follow.feed_;
  follow.feeds_ = nullptr;
  feed.follows.back()->index_ = follow.index_;
  feed.follows[follow.index_] = feed.follows.back();
  feed.follows.pop_back();
  if (!feed.follows.empty()) return;
  if (wakeups_ != Wakeups::kSweep) channels_.unwatch_key(feed.key);
  std::erase(dirty_, &feed);
  feeds_.erase(feeds_.find(feed.key));
}

void LogFeeds::kick(const std::string& key) {
  const auto found = feeds_.find(key);
  if (found != feeds_.end()) mark_dirty(*found->second);
}

void LogFeeds::on_up() {
  asked_ = tracked_ = false;
  room_.begin_anew();
  update_tracking();
  read_all();
}

void LogFeeds::read_all() {
  for (const auto& [key, feed] : feeds_) mark_dirty(*feed);
}

// A server may be told to notify of some events and not of others: what says that a key expires says nothing
// of how the next entry will be announced.
void LogFeeds::on_notified(std::string_view key, std::string_view event) {
  if (event == "xadd") {
    on_announced(key, Announcer::kNotifications);
  } else {
    kick(std::string(key));
  }
}

void LogFeeds::on_announced(std::string_view key, Announcer by) {
  const auto found = feeds_.find(std::string(key));
  if (found == feeds_.end()) return;
  Feed& feed = *found->second;
  feed.announced = std::max(feed.announced, by);
  feed.found.reset();
  mark_dirty(feed);
}

void LogFeeds::on_invalidated(std::string_view key) {
  if (key.empty()) {  // FLUSHALL, or FLUSHDB of any database
    if (!flushed_.pending()) flushed_.after(kFlushes);
  } else {
    on_announced(key, Announcer::kTracking);
  }
}

// Not while nobody watches a log: a gateway that serves none asks for nothing.
bool LogFeeds::wants_tracking() const {
  return wakeups_ == Wakeups::kAuto && by_ != Announcer::kNotifications && !feeds_.empty() &&
         !room_.full(Loop::now()) && channels_.may_hear_invalidations();
}

// Redis sends an invalidation to the connection whose number it was told, and to no other: first the
// subscriber link has to show that it lives and hears, or the number may be a stranger's by now.
void LogFeeds::update_tracking() {
  if (!reader_.up()) return;
  if (!wants_tracking()) {
    asked_ = false;
    if (std::exchange(tracked_, false)) tracking_ = reader_.untrack();
  } else if (!asked_ && channels_.up() && has_client_id()) {
    asked_ = true;
    channels_.hear_invalidations();
  }
}

bool LogFeeds::has_client_id() {
  if (channels_.client_id() == 0) refused("CLIENT ID is not permitted, or not known");
  return channels_.client_id() != 0;
}

void LogFeeds::on_hearing() {
  if (!wants_tracking() || !reader_.up() || !has_client_id()) return;
  tracked_ = true;
  tracking_ = reader_.track(channels_.client_id(), [this](std::string_view why) {
    why.empty() ? why_refused_.clear() : refused(why);
  });
  read_all();  // behind it: what has been read before is not tracked
}

void LogFeeds::refused(std::string_view why) {
  tracked_ = false;
  if (std::exchange(why_refused_, why) != why) {
    log_warning("log.wakeups_refused", {{"of", "tracking"}, {"why", why}});
  }
  if (by_ == Announcer::kTracking) trust(Announcer::kNobody, "tracking is refused");
}

void LogFeeds::check_room(TimePoint now) {
  room_.look(now, feeds_.size());
  if (tracked_ && room_.full(now)) {
    tracking_ = reader_.untrack();
    refused("Redis forgets what it tracks, see its tracking-table-max-keys");
  }
  update_tracking();  // there may be room again
}

void LogFeeds::mark_dirty(Feed& feed) {
  if (feed.reading.under_way()) {
    feed.again = true;
    return;
  }
  if (std::exchange(feed.dirty, true)) return;
  dirty_.push_back(&feed);
  turn_end_.ask();
}

void LogFeeds::read_dirty() {
  for (Feed* feed : std::exchange(dirty_, {})) {
    feed->dirty = false;
    // While the link is down there is nothing to do: on_up() comes back to every feed.
    if (reader_.up()) read(*feed);
  }
}

void LogFeeds::read(Feed& feed) {
  feed.again = false;
  feed.checked = Loop::now();
  feed.reading = reader_.read(feed.key, feed.cursor, feed.pace, LogReader::Turn::kAtOnce,
                              [this, &feed](const LogRead& read) { on_read(feed, read); });
}

void LogFeeds::on_read(Feed& feed, const LogRead& read) {
  const Announcer announced = std::exchange(feed.announced, Announcer::kNobody);
  const bool swept = std::exchange(feed.swept, false);
  switch (read.outcome) {
    case LogRead::Outcome::kUnavailable:
      if (feed.again) mark_dirty(feed);
      return;
    case LogRead::Outcome::kWrongType:
      for (const Follow* follow : feed.follows) follow->observer_->on_wrong_type();
      return;
    case LogRead::Outcome::kRead:
      break;
  }
  if (read.gap) {
    hub_.flush(topic(feed.key));
    for (const Follow* follow : feed.follows) follow->observer_->on_gap(*read.gap, feed.cursor);
  }
  const bool vain = read.entries.empty() && !read.gap;
  if (announced == Announcer::kTracking) room_.count(!vain);
  if (!read.entries.empty()) {
    feed.grew = Loop::now();
    feed.peek_at = {};
    if (announced != Announcer::kNobody) {
      channels_.note_lines(std::min(read.entries.size(), kLinesCounted), feed.grew - feed.checked);
    }
    if (const Announcer by = credible(announced, feed.grew); by > by_) {
      trust(by, "an announcement came before the sweep");
    }
    if (swept && announced == Announcer::kNobody && by_ != Announcer::kNobody) feed.found = feed.grew;
    hub_.publish(topic(feed.key), read.entries);
  }
  if (read.more || feed.again) mark_dirty(feed);
}

std::chrono::milliseconds LogFeeds::sweep_interval() const {
  if (by_ != Announcer::kNobody) return kSlowSweep;
  return std::max(kFastSweep, kFastSweep * static_cast<int>(peeked_) / static_cast<int>(kFastLogs));
}

// What was announced before a link was lost, or tracking ended, says nothing of what will be.
LogFeeds::Announcer LogFeeds::credible(Announcer by, TimePoint now) const {
  if (wakeups_ != Wakeups::kAuto || !channels_.up()) return Announcer::kNobody;
  if (by == Announcer::kNotifications && now >= notifications_from_) return by;
  return by == Announcer::kTracking && tracked_ ? by : Announcer::kNobody;
}

std::string_view LogFeeds::woken_by() const {
  switch (by_) {
    case Announcer::kNotifications:
      return "notifications";
    case Announcer::kTracking:
      return "tracking";
    case Announcer::kNobody:
      break;
  }
  return "sweep";
}

void LogFeeds::trust(Announcer by, const char* why) {
  if (std::exchange(by_, by) == by) return;
  log_info("log.wakeups", {{"by", woken_by()}, {"why", why}});
  channels_.set_half_of_lines(by == Announcer::kTracking ? kHalfOfTrackedLines : ReadRest::kHalfOfLines);
  for (const auto& [key, feed] : feeds_) feed->found.reset();  // somebody else ought to have announced it
  update_tracking();
  sweep_.after(sweep_interval());
}

void LogFeeds::sweep() {
  const TimePoint now = Loop::now();
  if (!channels_.up() && wakeups_ == Wakeups::kAuto) trust(Announcer::kNobody, "the subscriber link is down");
  if ((by_ == Announcer::kNotifications && !channels_.may_watch_keys()) ||
      (by_ == Announcer::kTracking && !channels_.may_hear_invalidations())) {
    trust(Announcer::kNobody, "not permitted any more");
  }
  if (reader_.up()) {
    check_room(now);
    for (const auto& [key, feed] : feeds_) {
      if (feed->reading.under_way()) continue;
      if (feed->found && now - *feed->found > kLate) {
        feed->found.reset();
        if (by_ == Announcer::kNotifications) notifications_from_ = now + kDisbelief;
        if (wakeups_ == Wakeups::kAuto) trust(Announcer::kNobody, "an entry was not announced");
      }
      if (now - feed->checked >= kUnread) {
        feed->swept = true;
        mark_dirty(*feed);
      }
    }
    if (by_ == Announcer::kNobody) peek(now);
  }
  if (feeds_.empty()) {
    update_tracking();
  } else {
    sweep_.after(sweep_interval());
  }
}

// Cheaper than a read where there is nothing new, which is almost always.
void LogFeeds::peek(TimePoint now) {
  std::erase_if(peeks_, [](const RedisCall& call) { return !call.under_way(); });
  if (!peeks_.empty()) return;  // Redis is slow enough as it is
  std::vector<const Feed*> together;
  peeked_ = 0;
  for (const auto& [key, feed] : feeds_) {
    if (feed->dirty || feed->reading.under_way() || now < feed->peek_at) continue;
    ++peeked_;
    const auto rest =
        std::clamp<Clock::duration>((now - feed->grew) / kPartOfSilence, kFastSweep, kSilentSweep);
    feed->peek_at = now + rest - kFastSweep / 2;  // the sweep that is nearest, whatever the timer's grain
    const Feed* one = feed.get();
    if (one->apart) {
      peek({&one, 1});
    } else if (together.push_back(one); together.size() == kPeekedTogether) {
      peek(together);
      together.clear();
    }
  }
  if (!together.empty()) peek(together);
}

void LogFeeds::peek(std::span<const Feed* const> feeds) {
  std::vector<LogReader::Peek> logs;
  std::vector<std::string> asked;  // by name: some may go meanwhile
  for (const Feed* feed : feeds) {
    logs.push_back({.key = feed->key, .position = feed->cursor.position()});
    if (feeds.size() > 1) asked.push_back(feed->key);
  }
  peeks_.push_back(reader_.peek(
      logs, [this, asked = std::move(asked)](std::optional<std::vector<std::string_view>> grown) {
        if (grown) {
          for (const std::string_view key : *grown) kick(std::string(key));
          return;
        }
        for (const std::string& key : asked) {
          if (const auto found = feeds_.find(key); found != feeds_.end()) found->second->apart = true;
        }
      }));
}

}  // namespace tailgate
