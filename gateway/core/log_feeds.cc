#include "gateway/core/log_feeds.h"

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
// … both stretched where there is more to ask about than this, so that Redis looks at 45,000 keys a second at
// most …
constexpr std::size_t kFastLogs = 1000;
// … so many in one command: apart they cost it five times as much.
constexpr std::size_t kPeekedTogether = 100;
// Else: in case an announcement got lost, a log that has not been read for this long is read …
constexpr std::chrono::milliseconds kUnread{2000};
// … for which all are looked over this often.
constexpr std::chrono::milliseconds kSlowSweep{500};
// How long an announcement may be behind the sweep before it counts as missing.
constexpr std::chrono::milliseconds kLate{250};

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
  follower_ = other.follower_;
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
      sweep_(loop, [this] { sweep(); }),
      turn_end_(loop, [this] { read_dirty(); }) {
  channels_.set_key_events(
      {.on_up = [this] { update_tracking(); },
       .on_notified = [this](std::string_view key) { on_announced(key, Announcer::kNotifications); },
       .on_watched = [this](std::string_view key) { kick(std::string(key)); },
       .on_invalidated = [this](std::string_view key) { on_invalidated(key); },
       .on_hearing = [this] { read_all(); }});
}

LogFeeds::~LogFeeds() = default;

std::optional<EntryId> LogFeeds::position(const std::string& key) const {
  const auto found = feeds_.find(key);
  if (found == feeds_.end()) return std::nullopt;
  return found->second->cursor.position();
}

LogFeeds::Follow LogFeeds::follow(const std::string& key, const LogCursor& at, Follower& follower) {
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
  follow.follower_ = &follower;
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
  redirected_ = 0;
  update_tracking();
  read_all();
}

void LogFeeds::read_all() {
  for (const auto& [key, feed] : feeds_) mark_dirty(*feed);
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
  if (key.empty()) {
    read_all();  // FLUSHALL and its like
  } else {
    on_announced(key, Announcer::kTracking);
  }
}

// Redis sends an invalidation to the connection that was named when tracking was asked for, and to no other:
// it is asked for anew when either link is.
void LogFeeds::update_tracking() {
  if (!reader_.up()) return;
  const bool wanted = wakeups_ == Wakeups::kAuto && by_ != Announcer::kNotifications && !feeds_.empty() &&
                      channels_.may_hear_invalidations();
  if (!wanted) {
    if (std::exchange(redirected_, 0) != 0) tracking_ = reader_.track(0, [](std::string_view) {});
    return;
  }
  const std::int64_t number = channels_.number();
  if (number == 0 && channels_.up() && !std::exchange(told_nameless_, true)) {
    log_info("log.wakeups_refused", {{"of", "tracking"}, {"why", "Redis does not answer CLIENT ID"}});
  }
  if (number == 0 || std::exchange(redirected_, number) == number) return;
  tracking_ =
      reader_.track(number, [this, asked = Loop::now()](std::string_view why) { on_tracked(asked, why); });
}

void LogFeeds::on_tracked(TimePoint asked, std::string_view why) {
  if (!why.empty()) {
    log_info("log.wakeups_refused", {{"of", "tracking"}, {"why", why}});
    return;
  }
  channels_.hear_invalidations();
  for (const auto& [key, feed] : feeds_) {
    if (feed->checked <= asked) mark_dirty(*feed);  // that read is not tracked
  }
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
      return;
    case LogRead::Outcome::kWrongType:
      for (const Follow* follow : feed.follows) follow->follower_->on_wrong_type();
      return;
    case LogRead::Outcome::kRead:
      break;
  }
  if (read.gap) {
    hub_.flush(topic(feed.key));
    for (const Follow* follow : feed.follows) follow->follower_->on_gap(*read.gap, feed.cursor);
  }
  if (!read.entries.empty()) {
    feed.grew = Loop::now();
    feed.peek_at = {};
    if (announced != Announcer::kNobody) channels_.note_answer(feed.grew - feed.checked);
    if (announced > by_ && wakeups_ == Wakeups::kAuto) {
      trust(announced, "an announcement came before the sweep");
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

void LogFeeds::trust(Announcer by, const char* why) {
  if (std::exchange(by_, by) == by) return;
  const char* name = by == Announcer::kNotifications ? "notifications"
                     : by == Announcer::kTracking    ? "tracking"
                                                     : "sweep";
  log_info("log.wakeups", {{"by", name}, {"why", why}});
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
    for (const auto& [key, feed] : feeds_) {
      if (feed->reading.under_way()) continue;
      if (feed->found && now - *feed->found > kLate) {
        feed->found.reset();
        if (wakeups_ == Wakeups::kAuto) trust(Announcer::kNobody, "an entry was not announced");
      }
      if (now - feed->checked >= kUnread) {
        feed->swept = true;
        mark_dirty(*feed);
      }
    }
    if (by_ == Announcer::kNobody) peek(now);
  }
  if (!feeds_.empty()) sweep_.after(sweep_interval());
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
