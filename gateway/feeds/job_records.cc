#include "gateway/feeds/job_records.h"

#include <algorithm>
#include <map>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/loop/random.h"
#include "gateway/routes/route.h"

namespace tailgate {

namespace {

constexpr std::chrono::milliseconds kWatchEvery{1000};
// Looks at about so many jobs are asked for together: two wake-ups for all of them.  More would hold others
// up …
constexpr int kTogether = 25;
// … and fewer wait for each other this long at most.
constexpr std::chrono::milliseconds kLongestWait{100};
constexpr std::chrono::seconds kGoneAfter{10};
constexpr std::chrono::seconds kComplainEvery{60};
constexpr std::size_t kMostComplained = 1000;

// A rule lives as long as whoever looks by it, so its address is its name here.
std::string name_of(const RecordRule& rule, const std::string& id) {
  return std::to_string(reinterpret_cast<std::uintptr_t>(&rule)) + '/' + id;
}

// Each key once a minute: as long as somebody watches a job, its record is looked at every second.
bool may_complain_of(const std::string& key) {
  static LogValve valve(5, 1);
  static std::map<std::string, TimePoint> complained;
  const TimePoint now = Loop::now();
  const auto found = complained.find(key);
  if (found != complained.end() && now - found->second < kComplainEvery) return false;
  if (!valve.open(now)) return false;
  if (complained.size() >= kMostComplained) complained.clear();
  complained[key] = now;
  return true;
}

// What a hash says, in one number: what two looks found alike need not be read again.
std::size_t reply_hash(const redisReply& reply) {
  std::size_t hash = reply.elements;
  for (std::size_t i = 0; i < reply.elements; ++i) {
    const redisReply& element = *reply.element[i];
    const bool is_there = element.type == REDIS_REPLY_STRING;
    hash = hash * 31 + (is_there ? std::hash<std::string_view>()(text_of(element)) : 1);
  }
  return hash;
}

std::optional<Record> read_hash(const RecordRule& rule, const std::vector<std::string>& fields,
                                const redisReply& reply) {
  std::vector<std::optional<std::string>> texts;
  texts.reserve(reply.elements);
  for (std::size_t i = 0; i < reply.elements; ++i) {
    const redisReply& element = *reply.element[i];
    if (element.type == REDIS_REPLY_STRING) {
      texts.emplace_back(std::string(element.str, static_cast<std::size_t>(element.len)));
    } else {
      texts.emplace_back(std::nullopt);
    }
  }
  return record_from_hash(rule, fields, texts);
}

}  // namespace

// Dies when it has been answered or when nobody waits for it any more.
struct JobRecords::PendingLook {
  PendingLook(JobRecords& its_records, const RecordRule& its_rule, std::string its_id)
      : records(its_records), rule(its_rule), id(std::move(its_id)) {}

  void leave(Look& look) {
    waiters[look.index_] = nullptr;
    dones[look.index_] = nullptr;
    look.pending_ = nullptr;
    if (delivering ||
        std::any_of(waiters.begin(), waiters.end(), [](const Look* other) { return other != nullptr; })) {
      return;
    }
    if (!sent) records.pending_.erase(name_of(rule, id));
    delete this;
  }

  void deliver(Found found, const Record* record) {
    delivering = true;
    for (std::size_t i = 0; i < waiters.size(); ++i) {
      if (waiters[i] == nullptr) continue;
      waiters[i]->pending_ = nullptr;
      const Done done = std::move(dones[i]);
      done(found, record);
    }
    delete this;
  }

  JobRecords& records;
  const RecordRule& rule;
  std::string id;
  std::vector<Look*> waiters;
  std::vector<Done> dones;
  bool sent = false;
  bool delivering = false;
  RedisCall call;
};

struct JobRecords::Watched final : Wheel::Entry {
  Watched(JobRecords& its_records, const RecordRule& its_rule, std::string its_id, Record its_known)
      : records(its_records), rule(its_rule), id(std::move(its_id)), known(std::move(its_known)) {}

  void on_due(Wheel::Time now) override {
    records.deadlines_.set(*this, records.next_look(now));
    if (!records.link_.up()) gone_since.reset();  // what nobody looked at is not gone
    if (!records.link_.up() || call.under_way()) return;
    call = records.ask(rule, id, rule.watch_fields, [this](const redisReply* reply) { on_reply(reply); });
  }

  // Almost every look finds the record as the one before it did.
  void on_reply(const redisReply* reply) {
    const bool is_hash = reply != nullptr && reply->type == REDIS_REPLY_ARRAY;
    const std::size_t hash = is_hash ? reply_hash(*reply) : 0;
    if (is_hash && hash == record_seen && !tell_again) return;
    const bool partial = rule.watch_fields.size() < rule.hash_fields.size();
    read(rule, id, rule.watch_fields, reply, [&](Found found, const Record* record) {
      record_seen = record != nullptr ? std::optional(hash) : std::nullopt;
      on_looked(found, record, partial);
    });
  }

  // `partial`: big fields were left out, because a running job's are of no use.
  void on_looked(Found found, const Record* record, bool partial) {
    if (found == Found::kUnavailable) {
      gone_since.reset();
      return;
    }
    if (record == nullptr) {
      const auto now = Loop::now();
      if (!gone_since) gone_since = now;
      if (now - *gone_since < kGoneAfter) return;
      for (const Watch* watch : watches) watch->observer_->on_record_gone();
      return;
    }
    gone_since.reset();
    const bool changed = std::exchange(tell_again, false) || record->user != known.user ||
                         record->session != known.session || record->status != known.status;
    if (!changed) return;
    if (partial && record->terminal) {
      tell_again = true;
      record_seen.reset();  // what the whole says decides, and may be something else by then
      call = records.ask(rule, id, rule.hash_fields, [this](const redisReply* reply) {
        read(rule, id, rule.hash_fields, reply,
             [this](Found again, const Record* whole) { on_looked(again, whole, false); });
      });
      return;
    }
    known = *record;
    for (const Watch* watch : watches) watch->observer_->on_record(known);
  }

  JobRecords& records;
  const RecordRule& rule;
  std::string id;
  Record known;             // as the watchers have it
  bool tell_again = false;  // somebody came with another view of the record
  std::optional<TimePoint> gone_since;
  std::optional<std::size_t> record_seen;  // the hash of the last look, where `known` says the same
  std::vector<Watch*> watches;
  RedisCall call;
};

JobRecords::Look::Look(Look&& other) noexcept {
  *this = std::move(other);
}

JobRecords::Look& JobRecords::Look::operator=(Look&& other) noexcept {
  if (this == &other) return *this;
  if (pending_ != nullptr) pending_->leave(*this);
  pending_ = std::exchange(other.pending_, nullptr);
  index_ = other.index_;
  if (pending_ != nullptr) pending_->waiters[index_] = this;
  return *this;
}

JobRecords::Look::~Look() {
  if (pending_ != nullptr) pending_->leave(*this);
}

JobRecords::Watch::Watch(Watch&& other) noexcept {
  *this = std::move(other);
}

JobRecords::Watch& JobRecords::Watch::operator=(Watch&& other) noexcept {
  if (this == &other) return *this;
  if (records_ != nullptr) records_->leave(*this);
  records_ = std::exchange(other.records_, nullptr);
  watched_ = other.watched_;
  observer_ = other.observer_;
  index_ = other.index_;
  if (records_ != nullptr) watched_->watches[index_] = this;
  return *this;
}

JobRecords::Watch::~Watch() {
  if (records_ != nullptr) records_->leave(*this);
}

JobRecords::JobRecords(const Loop& loop, RedisLink& link, Deadlines& deadlines)
    : link_(link), deadlines_(deadlines), turn_end_(loop, [this] { send_pending(); }) {
}

JobRecords::~JobRecords() = default;

JobRecords::Look JobRecords::look(const RecordRule& rule, const std::string& id, Done done) {
  PendingLook*& pending = pending_[name_of(rule, id)];
  if (pending == nullptr) {
    pending = new PendingLook(*this, rule, id);
    turn_end_.ask();
  }
  Look look;
  look.pending_ = pending;
  look.index_ = pending->waiters.size();
  pending->waiters.push_back(&look);
  pending->dones.push_back(std::move(done));
  return look;
}

void JobRecords::send_pending() {
  for (const auto& [name, pending] : std::exchange(pending_, {})) {
    pending->sent = true;
    if (!link_.up()) {
      pending->deliver(Found::kUnavailable, nullptr);
      continue;
    }
    pending->call = ask(
        pending->rule, pending->id, pending->rule.hash_fields, [pending = pending](const redisReply* reply) {
          read(pending->rule, pending->id, pending->rule.hash_fields, reply,
               [pending](Found found, const Record* record) { pending->deliver(found, record); });
        });
  }
}

RedisCall JobRecords::ask(const RecordRule& rule, const std::string& id,
                          const std::vector<std::string>& fields, ReplyCall call) {
  ++looks_;
  const std::string key = with_id(rule.key, id);
  std::vector<std::string_view> arguments{"HMGET", key};
  arguments.insert(arguments.end(), fields.begin(), fields.end());
  return link_.command(arguments, std::move(call));
}

void JobRecords::read(const RecordRule& rule, const std::string& id, const std::vector<std::string>& fields,
                      const redisReply* reply, const Done& done) {
  if (reply == nullptr) {
    done(Found::kUnavailable, nullptr);
  } else if (reply->type == REDIS_REPLY_ARRAY) {
    const auto record = read_hash(rule, fields, *reply);
    done(record ? Found::kRecord : Found::kNothing, record ? &*record : nullptr);
  } else if (is_wrong_type(*reply)) {
    const std::string key = with_id(rule.key, id);
    if (may_complain_of(key)) log_error("record.wrong_type", {{"key", key}, {"wanted", "hash"}});
    done(Found::kWrongType, nullptr);
  } else {
    const std::string key = with_id(rule.key, id);
    if (may_complain_of(key)) log_error("record.refused", {{"key", key}, {"why", error_of(*reply)}});
    done(Found::kUnavailable, nullptr);
  }
}

JobRecords::Watch JobRecords::watch(const RecordRule& rule, const std::string& id, const Record& known,
                                    Observer& observer) {
  auto [slot, is_new] = watched_.try_emplace(name_of(rule, id));
  if (is_new) {
    slot->second = std::make_unique<Watched>(*this, rule, id, known);
    // Spread over the second, so that many jobs opened together are not looked at together.
    deadlines_.set(*slot->second, Loop::now() + shortened(kWatchEvery, 1.0));
  }
  Watched& watched = *slot->second;
  if (known.user != watched.known.user || known.session != watched.known.session ||
      known.status != watched.known.status) {
    watched.tell_again = true;
  }
  Watch watch;
  watch.records_ = this;
  watch.watched_ = &watched;
  watch.observer_ = &observer;
  watch.index_ = watched.watches.size();
  watched.watches.push_back(&watch);
  return watch;
}

TimePoint JobRecords::next_look(TimePoint now) const {
  using Span = Clock::duration;
  const auto jobs = static_cast<int>(std::min<std::size_t>(watched_.size(), 1'000'000));
  const Span grid =
      std::clamp<Span>(Span(kWatchEvery) * kTogether / std::max(jobs, 1), Wheel::kSlot, kLongestWait);
  const Span soonest = now.time_since_epoch() + kWatchEvery;
  return TimePoint((soonest + grid - Span(1)) / grid * grid);
}

void JobRecords::write_metrics(MetricsText& out) const {
  out.counter("tailgate_record_looks_total", "Looks at records in Redis.", looks_);
}

void JobRecords::leave(Watch& watch) {
  Watched& watched = *watch.watched_;
  watch.records_ = nullptr;
  watched.watches.back()->index_ = watch.index_;
  watched.watches[watch.index_] = watched.watches.back();
  watched.watches.pop_back();
  if (watched.watches.empty()) watched_.erase(name_of(watched.rule, watched.id));
}

}  // namespace tailgate
