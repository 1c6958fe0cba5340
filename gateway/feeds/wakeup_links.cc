#include "gateway/feeds/wakeup_links.h"

#include <array>
#include <cstdint>

#include "gateway/base/log.h"

namespace tailgate {

WakeupLinks::WakeupLinks(const Loop& loop, RedisLink& link, ChannelFeeds& channels, KeyWakeups::Rules rules,
                         Kind kind, Reader& reader)
    : link_(link),
      channels_(channels),
      kind_(kind),
      reader_(reader),
      wakeups_(*this, std::move(rules)),
      sweep_(loop, [this] { wakeups_.sweep(Loop::now()); }),
      next_turn_(loop, [this] { turn_end_.ask(); }),
      turn_end_(loop, [this] { wakeups_.start_reads(Loop::now()); }) {
  channels_.add_key_events(
      {.on_notified =
           [this](std::string_view name, std::string_view command) {
             for_each(name, [&](Key& key) { wakeups_.on_notified(key, command, Loop::now()); });
           },
       .on_watched =
           [this](std::string_view name) { for_each(name, [this](Key& key) { wakeups_.read_soon(key); }); },
       .on_invalidated =
           [this](std::string_view name) {
             if (name.empty()) return wakeups_.on_all_invalidated();
             for_each(name, [this](Key& key) { wakeups_.on_invalidated(key, Loop::now()); });
           },
       .on_invalidations_confirmed = [this] { wakeups_.on_invalidations_confirmed(Loop::now()); }});
}

WakeupLinks::~WakeupLinks() = default;

KeyWakeups::Mode WakeupLinks::mode_of(std::string_view wakeups) {
  if (wakeups == "notifications") return KeyWakeups::Mode::kNotifications;
  return wakeups == "sweep" ? KeyWakeups::Mode::kSweep : KeyWakeups::Mode::kAuto;
}

template <typename Call>
void WakeupLinks::for_each(std::string_view name, const Call& call) {
  const auto found = keys_.find(name);
  if (found == keys_.end()) return;
  for (Key* key : found->second) call(*key);
}

void WakeupLinks::watch(Key& key) {
  std::vector<Key*>& keys = keys_[key.name];
  if (keys.empty() && wakeups_.hears_notifications()) channels_.watch_key(key.name);
  keys.push_back(&key);
  wakeups_.watch(key, Loop::now());
}

void WakeupLinks::unwatch(Key& key) {
  const auto found = keys_.find(key.name);
  std::erase(found->second, &key);
  if (found->second.empty()) {
    keys_.erase(found);
    if (wakeups_.hears_notifications()) channels_.unwatch_key(key.name);
  }
  wakeups_.unwatch(key);
}

std::string_view WakeupLinks::woken_by() const {
  // The enumerators of KeyWakeups::Announcer, in their order.
  constexpr std::array<std::string_view, 3> kNames = {"sweep", "tracking", "notifications"};
  return kNames.at(static_cast<std::size_t>(wakeups_.trusted()));
}

void WakeupLinks::write_metrics(MetricsText& out) const {
  if (kind_ == Kind::kLog) {
    out.begin(
        "tailgate_log_wakeups", MetricsText::Type::kGauge,
        "1 for what wakes the readers of logs: notifications or tracking by Redis, or a sweep of our own.");
  } else {
    out.begin("tailgate_record_wakeups", MetricsText::Type::kGauge,
              "1 for what wakes the readers of records: notifications or tracking by Redis, or a sweep of "
              "our own.");
  }
  for (const std::string_view by : {"notifications", "tracking", "sweep"}) {
    out.sample(MetricsText::label("by", by), std::uint64_t{by == woken_by()});
  }
}

// ---- KeyWakeups::Owner ------------------------------------------------------------------------------

KeyWakeups::Links WakeupLinks::links() const {
  return {.reading = link_.up(),
          .subscriber = channels_.up(),
          .client_id = channels_.client_id(),
          .may_hear_notifications = channels_.may_watch_keys(),
          .may_hear_invalidations = channels_.may_hear_invalidations()};
}

void WakeupLinks::hear_notifications() {
  for (const auto& [name, keys] : keys_) channels_.watch_key(name);
}

// When a key that was read on the link changes, Redis sends one invalidation to the subscriber link.
void WakeupLinks::start_tracking() {
  tracking_ =
      link_.command({"CLIENT", "TRACKING", "ON", "REDIRECT", std::to_string(channels_.client_id())},
                    [this](const redisReply* reply) {
                      if (reply == nullptr) return;
                      const bool is_refused = reply->type == REDIS_REPLY_ERROR;
                      wakeups_.on_tracking_answered(is_refused ? text_of(*reply) : std::string_view());
                    });
}

void WakeupLinks::end_tracking() {
  tracking_ = link_.command({"CLIENT", "TRACKING", "OFF"}, [](const redisReply*) {});
}

void WakeupLinks::on_trust_changed(std::string_view why) {
  log_info(kind_ == Kind::kLog ? "log.wakeups" : "record.wakeups", {{"by", woken_by()}, {"why", why}});
}

void WakeupLinks::on_tracking_refused(std::string_view why) {
  log_warning(kind_ == Kind::kLog ? "log.wakeups_refused" : "record.wakeups_refused",
              {{"of", "tracking"}, {"why", why}});
}

}  // namespace tailgate
