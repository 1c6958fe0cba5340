#include "gateway/endpoints/log_page.h"

#include <algorithm>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/endpoints/answers.h"

namespace tailgate {

namespace {

// One answer of Redis holds at most so many lines; a longer page takes several.
constexpr std::size_t kMostAtOnce = 128;
constexpr std::chrono::milliseconds kTryAgain{500};

}  // namespace

LogPage::LogPage(Services& services, Visit visit)
    : Stream(services.streams, std::move(visit)),
      services_(services),
      key_(route().key_for(Stream::visit().id)),
      page_(route(), Stream::visit().page.limit),
      below_(Stream::visit().page.before) {
}

void LogPage::start() {
  expect_opening_by(Loop::now() + visit().config->redis.wait);
  look();
}

void LogPage::look() {
  if (look_.under_way() || range_.under_way() || !services_.pages.up()) return;
  if (route().record == nullptr) {
    read();
    return;
  }
  look_ = services_.records.look(
      *route().record, visit().id,
      [this](JobRecords::Found found, const Record* record) { on_looked(found, record); });
}

void LogPage::on_looked(JobRecords::Found found, const Record* record) {
  if (condemned()) return;
  if (found == JobRecords::Found::kUnavailable || !services_.pages.up()) {
    remind_at(Loop::now() + kTryAgain);
  } else if (record == nullptr || !may_see(*record, visit().user, visit().session)) {
    refuse_not_found(services_, visit());
    condemn(EndReason::kAnswered);
  } else {
    read();
  }
}

void LogPage::read() {
  std::string from = "+";
  if (below_) {
    const auto last = id_before(*below_);
    if (!last) {
      answer_page();
      return;
    }
    from = last->text();
  }
  // One more than the page holds tells whether there are more.
  const std::size_t wanted = static_cast<std::size_t>(visit().page.limit) - page_.lines() + 1;
  asked_ = std::min(wanted, kMostAtOnce);
  range_ = services_.pages.command({"XREVRANGE", key_, from, "-", "COUNT", std::to_string(asked_)},
                                   [this](const redisReply* reply) { on_range(reply); });
}

void LogPage::on_range(const redisReply* reply) {
  if (condemned()) return;
  if (reply == nullptr) {
    remind_at(Loop::now() + kTryAgain);
    return;
  }
  if (reply->type != REDIS_REPLY_ARRAY) {
    static LogValve valve(5, 1);
    if (valve.open(Loop::now())) log_error("log.refused", {{"key", key_}, {"why", reply->str}});
    if (is_wrong_type(*reply)) {
      refuse(services_, visit(), 500, "The log cannot be read");
      condemn(EndReason::kAnswered);
    } else {
      remind_at(Loop::now() + kTryAgain);
    }
    return;
  }
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < reply->elements; ++i) {
    const auto entry = read_entry(*reply->element[i], bytes);
    if (!entry) continue;
    below_ = entry->id;
    if (!page_.add(*entry)) break;
  }
  if (page_.full() || reply->elements < asked_) {
    answer_page();
  } else {
    read();
  }
}

void LogPage::answer_page() {
  answer_json(services_, visit(), page_.json());
  condemn(EndReason::kAnswered);
}

void LogPage::on_opening_late() {
  Visit rest = std::move(visit());
  visit().config = rest.config;
  condemn(EndReason::kAnswered);
  answer_unavailable(services_, std::move(rest), Unavailable::kRedis);
}

}  // namespace tailgate
