#include "gateway/feeds/job_records.h"

#include <algorithm>
#include <map>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/loop/random.h"

namespace tailgate {

namespace {

// While Redis announces changes, the sweep only finds those whose announcement got lost.
constexpr std::chrono::seconds kSweepTrusted{10};
constexpr std::chrono::milliseconds kSweepUntrusted{1000};
// This many changes in quick succession cause a look each.  A record that changes all the time is read every
// second.
constexpr int kBurst = 5;
// The longest wait for a watch's first look.  The wait between looks at a missing record.
constexpr std::chrono::milliseconds kLookAgain{1000};
constexpr std::chrono::seconds kLogEvery{60};
constexpr std::size_t kMostLogged = 1000;

// Names a rule by its address, because a rule outlives all looks that use it.
std::string name_of(const RecordRule& rule, const std::string& key) {
  return std::to_string(reinterpret_cast<std::uintptr_t>(&rule)) + '/' + key;
}

// Allows one log line a minute for each Redis key, because every look at a watched record may fail.
bool may_log(const std::string& key) {
  static LogValve valve(5, 1);
  static std::map<std::string, TimePoint> logged;
  const TimePoint now = Loop::now();
  const auto found = logged.find(key);
  if (found != logged.end() && now - found->second < kLogEvery) return false;
  if (!valve.open(now)) return false;
  if (logged.size() >= kMostLogged) logged.clear();
  logged[key] = now;
  return true;
}

// True if on_record() must report the change from `a` to `b`.
bool differs(const Record& a, const Record& b) {
  return a.user != b.user || a.session != b.session || a.status != b.status;
}

// A hash of the reply's fields.  If it has not changed since the last look, the record need not be parsed.
std::size_t reply_hash(const redisReply& reply) {
  std::size_t hash = reply.elements;
  for (std::size_t i = 0; i < reply.elements; ++i) {
    const redisReply& element = *reply.element[i];
    const bool is_there = element.type == REDIS_REPLY_STRING;
    hash = hash * 31 + (is_there ? std::hash<std::string_view>()(text_of(element)) : 1);
  }
  return hash;
}

bool has_field(const redisReply& reply) {
  return std::any_of(reply.element, reply.element + reply.elements,
                     [](const redisReply* element) { return element->type == REDIS_REPLY_STRING; });
}

std::optional<Record> read_hash(const RecordRule& rule, const std::vector<std::string>& fields,
                                const redisReply& reply) {
  std::vector<std::optional<std::string>> texts;
  texts.reserve(reply.elements);
  for (std::size_t i = 0; i < reply.elements; ++i) {
    const redisReply& element = *reply.element[i];
    texts.emplace_back();
    if (element.type == REDIS_REPLY_STRING) texts.back() = text_of(element);
  }
  return record_from_hash(rule, fields, texts);
}

}  // namespace

struct JobRecords::PendingLook {
  bool wanted() const {
    return std::any_of(waiters.begin(), waiters.end(), [](const auto& done) { return done.wanted(); });
  }
  void deliver(Found found, const Record* record) {
    for (auto& done : waiters) done(found, record);
  }

  const RecordRule& rule;
  std::string key;
  std::vector<LeasedCall<Found, const Record*>> waiters;
  RedisCall call;
};

struct JobRecords::Watched final : WakeupLinks::Key, Wheel::Entry {
  Watched(JobRecords& its_records, const RecordRule& its_rule, const std::string& key, Record its_known)
      : Key(key), records(its_records), rule(its_rule), known(std::move(its_known)), observers([this] {
          records.wakeups_.unwatch(*this);
          records.watched_.erase(name_of(rule, name));
        }) {}

  void on_due(Wheel::Time now) override {
    records.wakeups_.read_soon(*this);
    if (gone_since) records.deadlines_.set(*this, now + kLookAgain);
  }

  void look() {
    call = records.ask(name, rule.watch_fields, [this](const redisReply* reply) { on_reply(reply); });
  }

  void on_reply(const redisReply* reply) {
    const bool is_hash = reply != nullptr && reply->type == REDIS_REPLY_ARRAY;
    const std::optional<std::size_t> hash = is_hash ? std::optional(reply_hash(*reply)) : std::nullopt;
    const std::optional<std::size_t> before = std::exchange(last_hash, hash);
    using Result = KeyWakeups::ReadResult;
    Result result = is_hash ? Result::kUnchanged : Result::kFailed;
    if (is_hash && before && hash != before) result = has_field(*reply) ? Result::kWritten : Result::kChanged;
    records.wakeups_.on_read_ended(*this, result);
    if (is_hash && hash == before && has_record && !must_report) return;
    const bool partial = rule.watch_fields.size() < rule.hash_fields.size();
    parse(rule, name, rule.watch_fields, reply,
          [&](Found found, const Record* record) { on_looked(found, record, partial); });
  }

  // `partial`: the reply has only the rule's watch_fields, without the large fields that the message of an
  // ended job may contain.
  void on_looked(Found found, const Record* record, bool partial) {
    has_record = record != nullptr;
    if (found == Found::kUnavailable || found == Found::kRefused) {
      gone_since.reset();
      // Redis does not track a read that it has refused, so it will not announce the next change.
      if (found == Found::kRefused) records.deadlines_.set(*this, Loop::now() + kLookAgain);
      return;
    }
    if (record == nullptr) {
      const auto now = Loop::now();
      if (!gone_since) {
        gone_since = now;
        records.deadlines_.set(*this, now + kLookAgain);
      }
      if (now - *gone_since < records.gone_after_) return;
      observers.for_each([](Observer* observer) { observer->on_record_gone(); });
      return;
    }
    gone_since.reset();
    if (!std::exchange(must_report, false) && !differs(*record, known)) return;
    if (partial && record->terminal) {
      must_report = true;
      last_hash.reset();  // may not be the hash of the reported record
      call = records.ask(name, rule.hash_fields, [this](const redisReply* reply) {
        parse(rule, name, rule.hash_fields, reply,
              [this](Found again, const Record* whole) { on_looked(again, whole, false); });
      });
      return;
    }
    known = *record;
    observers.for_each([this](Observer* observer) { observer->on_record(known); });
  }

  JobRecords& records;
  const RecordRule& rule;
  Record known;              // the record that the observers got last
  bool must_report = false;  // the next record is reported even if it equals `known`
  bool has_record = false;   // the last look found a record
  std::optional<TimePoint> gone_since;
  std::optional<std::size_t> last_hash;  // reply_hash() of the last look; none if it failed
  LeaseList<Observer*> observers;
  RedisCall call;
};

JobRecords::JobRecords(const Loop& loop, RedisLink& link, ChannelFeeds& channels, Deadlines& deadlines,
                       std::string_view wakeups, std::chrono::milliseconds gone_after)
    : link_(link),
      deadlines_(deadlines),
      gone_after_(gone_after),
      wakeups_(loop, link, channels,
               {.mode = WakeupLinks::mode_of(wakeups),
                .commands = {"hset", "hincrby", "hincrbyfloat", "hdel"},
                .prefers_tracking = true,
                .sweep_trusted = kSweepTrusted,
                .sweep_untrusted = kSweepUntrusted,
                .burst = kBurst},
               WakeupLinks::Kind::kRecord, *this),
      turn_end_(loop, [this] { send_pending(); }) {
}

JobRecords::~JobRecords() = default;

JobRecords::Look JobRecords::look(const RecordRule& rule, const std::string& key, Done done) {
  std::unique_ptr<PendingLook>& pending = pending_[name_of(rule, key)];
  if (pending == nullptr) {
    pending = std::make_unique<PendingLook>(PendingLook{.rule = rule, .key = key, .waiters = {}, .call = {}});
    turn_end_.ask();
  }
  return pending->waiters.emplace_back(std::move(done)).lease();
}

void JobRecords::send_pending() {
  for (auto& [name, pending] : std::exchange(pending_, {})) {
    if (!pending->wanted()) continue;
    if (!link_.up()) {
      pending->deliver(Found::kUnavailable, nullptr);
      continue;
    }
    const auto place = sent_.insert(sent_.end(), std::move(pending));
    PendingLook& look = **place;
    look.call = ask(look.key, look.rule.hash_fields, [this, place](const redisReply* reply) {
      const std::unique_ptr<PendingLook> answered = std::move(*place);
      sent_.erase(place);
      if (!answered->wanted()) return;
      parse(answered->rule, answered->key, answered->rule.hash_fields, reply,
            [&](Found found, const Record* record) { answered->deliver(found, record); });
    });
  }
}

RedisCall JobRecords::ask(const std::string& key, const std::vector<std::string>& fields, ReplyCall call) {
  ++looks_;
  std::vector<std::string_view> arguments{"HMGET", key};
  arguments.insert(arguments.end(), fields.begin(), fields.end());
  return link_.command(arguments, std::move(call));
}

void JobRecords::parse(const RecordRule& rule, const std::string& key, const std::vector<std::string>& fields,
                       const redisReply* reply, const Done& done) {
  if (reply == nullptr) return done(Found::kUnavailable, nullptr);
  if (reply->type == REDIS_REPLY_ARRAY) {
    const auto record = read_hash(rule, fields, *reply);
    return done(record ? Found::kRecord : Found::kNothing, record ? &*record : nullptr);
  }
  if (is_wrong_type(*reply)) {
    if (may_log(key)) log_error("record.wrong_type", {{"key", key}, {"wanted", "hash"}});
    done(Found::kWrongType, nullptr);
  } else {
    if (may_log(key)) log_error("record.refused", {{"key", key}, {"why", error_of(*reply)}});
    done(Found::kRefused, nullptr);
  }
}

JobRecords::Watch JobRecords::watch(const RecordRule& rule, const std::string& key, const Record& known,
                                    Observer& observer) {
  auto [slot, is_new] = watched_.try_emplace(name_of(rule, key));
  if (is_new) {
    slot->second = std::make_unique<Watched>(*this, rule, key, known);
    wakeups_.watch(*slot->second);
    // A change between the caller's look and this call may have been announced already.  Jitter spreads the
    // looks at jobs whose streams were opened together.
    deadlines_.set(*slot->second, Loop::now() + shortened(kLookAgain, 1.0));
  }
  Watched& watched = *slot->second;
  if (differs(known, watched.known)) {
    watched.must_report = true;
    wakeups_.read_soon(watched);
  }
  return watched.observers.add(&observer);
}

void JobRecords::on_up() {
  for (const auto& [name, watched] : watched_) watched->gone_since.reset();  // it may have existed meanwhile
  wakeups_.on_up();
}

void JobRecords::read(WakeupLinks::Key& key) {
  static_cast<Watched&>(key).look();
}

void JobRecords::write_metrics(MetricsText& out) const {
  out.counter("tailgate_record_looks_total", "Looks at records in Redis.", looks_);
  wakeups_.write_metrics(out);
}

}  // namespace tailgate
