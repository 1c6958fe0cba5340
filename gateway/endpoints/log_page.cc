#include "gateway/endpoints/log_page.h"

#include <algorithm>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/endpoints/answers.h"

namespace tailgate {

namespace {

constexpr std::chrono::milliseconds kTryAgain{500};

}  // namespace

LogPage::LogPage(Services& services, Request request)
    : Stream(services.streams, std::move(request)),
      services_(services),
      key_(route().key_for(Stream::request().id)),
      page_(route(), Stream::request().parameters->page.limit),
      below_(Stream::request().parameters->page.before) {
}

void LogPage::start() {
  expect_opening_by(Loop::now() + request().config->redis.wait);
  look();
}

void LogPage::look() {
  if (look_.under_way() || range_.under_way() || !services_.pages.up()) return;
  if (route().record == nullptr) {
    read();
    return;
  }
  look_ = services_.records.look(
      *route().record, request().id,
      [this](JobRecords::Found found, const Record* record) { on_looked(found, record); });
}

void LogPage::on_looked(JobRecords::Found found, const Record* record) {
  if (condemned()) return;
  if (found == JobRecords::Found::kUnavailable || !services_.pages.up()) {
    remind_at(Loop::now() + kTryAgain);
  } else if (record == nullptr || !may_see(*record)) {
    refuse_not_found(services_, hand_over());
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
  const std::size_t wanted = static_cast<std::size_t>(request().parameters->page.limit) - page_.lines() + 1;
  asked_ = std::min<std::size_t>(wanted, services_.page_pace.count);
  range_ = services_.pages.command({"XREVRANGE", key_, from, "-", "COUNT", std::to_string(asked_)},
                                   [this](const redisReply* reply) { on_range(reply); });
}

void LogPage::on_range(const redisReply* reply) {
  if (condemned()) return;
  if (reply == nullptr) {
    services_.page_pace.shrink();
    remind_at(Loop::now() + kTryAgain);
    return;
  }
  if (reply->type != REDIS_REPLY_ARRAY) {
    static LogValve valve(5, 1);
    if (valve.open(Loop::now())) log_error("log.refused", {{"key", key_}, {"why", error_of(*reply)}});
    if (is_wrong_type(*reply)) {
      refuse(services_, hand_over(), 500, "The log cannot be read");
    } else {
      remind_at(Loop::now() + kTryAgain);
    }
    return;
  }
  std::size_t bytes = 0;
  bool full = false;
  for (std::size_t i = 0; i < reply->elements && !full; ++i) {
    const auto entry = read_entry(*reply->element[i], bytes);
    if (!entry) continue;
    below_ = entry->id;
    full = !page_.add(*entry);
  }
  if (!full) services_.page_pace.adapt(reply->elements, bytes);
  if (full || reply->elements < asked_) {
    answer_page();
  } else {
    read();
  }
}

void LogPage::answer_page() {
  answer_json(services_, hand_over(), page_.json());
}

void LogPage::on_opening_late() {
  answer_unavailable(services_, hand_over(), Unavailable::kRedis);
}

}  // namespace tailgate
