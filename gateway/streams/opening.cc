#include "gateway/streams/opening.h"

#include <algorithm>

namespace tailgate {

namespace {

// The delay before the next read of a record that is missing or another caller's.
constexpr std::chrono::milliseconds kReadAgain{100};  // from Redis
constexpr std::chrono::milliseconds kAskAgain{400};   // from an application, which may limit the rate
// The delay before the next attempt at a read that Redis refused or did not answer.
constexpr std::chrono::milliseconds kTryAgain{500};

}  // namespace

Opening::Opening(const Sources& sources, const Request& request, TimeLimits limits, Observer& observer)
    : sources_(sources),
      request_(request),
      observer_(observer),
      redis_limit_(limits.redis),
      record_until_(Loop::now() + limits.record) {
  if (redis_limit_.count() > 0) late_at_ = Loop::now() + redis_limit_;
  schedule();
}

void Opening::advance() {
  if (phase_ == Phase::kReading || phase_ == Phase::kDone || !observer_.is_ready()) return;
  const RecordRule* rule = request_.route->record;
  if (rule == nullptr) return report(Access::kAllowed);
  phase_ = Phase::kReading;
  if (rule->kind == RecordRule::Kind::kHttp) {
    allow_until(Loop::now() + rule->timeout + kTryAgain);
    schedule();
    question_ = sources_.applications.ask(*rule, rule->path.expand_url(segments_of(request_)),
                                          request_.parameters->caller,
                                          [this](const StatusAnswer& answer) { on_answered(answer); });
  } else {
    look_ = sources_.records.look(
        *rule, record_key(request_),
        [this](JobRecords::Found found, const Record* record) { on_read(found, record); });
  }
}

void Opening::restart() {
  look_ = {};
  question_.reset();
  refused_since_.reset();
  phase_ = Phase::kWaiting;
}

void Opening::try_again() {
  pause(Loop::now() + kTryAgain);
}

void Opening::on_read(JobRecords::Found found, const Record* record) {
  if (found != JobRecords::Found::kRefused) {
    refused_since_.reset();
  } else if (!refused_since_) {
    refused_since_ = Loop::now();
  } else if (Loop::now() - *refused_since_ >= request_.config->redis.wait) {
    // A lost link comes back, but a missing right may stay missing.  An open stream must not wait silently
    // for that right.
    return report(Access::kUnavailable);
  }
  if (found == JobRecords::Found::kUnavailable || refused_since_ || !observer_.is_ready()) {
    try_again();
  } else if (record == nullptr) {
    on_missing(Access::kNoRecord);
  } else if (!may_see(request_, *record)) {
    on_missing(Access::kForeign);
  } else {
    report(Access::kAllowed, record);
  }
}

void Opening::on_answered(const StatusAnswer& answer) {
  if (answer.access == Access::kNoRecord) return on_missing(answer.access);
  retry_after_ = answer.retry_after;
  report(answer.access, answer.record ? &*answer.record : nullptr);
}

// A missing job and another caller's job are reported after the same time, so nobody can tell them apart.
void Opening::on_missing(Access access) {
  const TimePoint now = Loop::now();
  const bool is_http = request_.route->record->kind == RecordRule::Kind::kHttp;
  if (now < record_until_) {
    const TimePoint again = std::min(now + (is_http ? kAskAgain : kReadAgain), record_until_);
    allow_until(again + redis_limit_);  // Redis has answered, so it has its whole time for the next answer
    pause(again);
  } else {
    report(access);
  }
}

void Opening::pause(TimePoint until) {
  phase_ = Phase::kPausing;
  retry_at_ = until;
  schedule();
}

void Opening::allow_until(TimePoint when) {
  if (late_at_ != TimePoint::max()) late_at_ = std::max(late_at_, when);
}

void Opening::schedule() {
  const TimePoint next = phase_ == Phase::kPausing ? std::min(late_at_, retry_at_) : late_at_;
  if (next != TimePoint::max()) sources_.deadlines.set(*this, next);
}

void Opening::on_due(TimePoint now) {
  if (now >= late_at_) {
    late_at_ = TimePoint::max();
    const bool waits_for_application = phase_ == Phase::kReading && question_ != nullptr;
    report(waits_for_application ? Access::kNoAnswer : Access::kUnavailable);
    return;
  }
  const bool is_retry = phase_ == Phase::kPausing && now >= retry_at_;
  if (is_retry) retry_at_ = TimePoint::max();
  schedule();
  if (is_retry) advance();
}

void Opening::report(Access access, const Record* record) {
  phase_ = Phase::kDone;
  observer_.on_outcome(access, record);
}

}  // namespace tailgate
