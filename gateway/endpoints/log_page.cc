#include "gateway/endpoints/log_page.h"

#include <algorithm>
#include <utility>

#include "gateway/base/log.h"

namespace tailgate {

LogPage::LogPage(Streams& streams, Resources& resources, Request request)
    : ActiveRequest(streams, std::move(request)),
      resources_(resources),
      key_(source_key(ActiveRequest::request())),
      page_(route(), ActiveRequest::request().parameters->page.limit),
      below_(ActiveRequest::request().parameters->page.before),
      opening_(resources.opening, ActiveRequest::request(),
               {.redis = ActiveRequest::request().config->redis.wait, .record = route().record_grace},
               *this) {
}

void LogPage::on_outcome(Access access, const Record* /*record*/) {
  if (condemned()) return;
  if (access != Access::kAllowed) return resources_.answers.refuse(hand_over(), access);
  read();
}

void LogPage::read() {
  std::string from = "+";
  if (below_) {
    const auto last = id_before(*below_);
    if (!last) return answer_page();
    from = last->text();
  }
  // Requests one entry more than the page can hold, to learn whether there are more.
  const std::size_t wanted = static_cast<std::size_t>(request().parameters->page.limit) - page_.lines() + 1;
  read_entries_ = std::min<std::size_t>(wanted, resources_.pace.count);
  range_ = resources_.link.command({"XREVRANGE", key_, from, "-", "COUNT", std::to_string(read_entries_)},
                                   [this](const redisReply* reply) { on_range(reply); });
}

void LogPage::on_range(const redisReply* reply) {
  if (condemned()) return;
  if (reply == nullptr) {
    resources_.pace.shrink();
    opening_.try_again();
    return;
  }
  if (reply->type != REDIS_REPLY_ARRAY) {
    static LogValve valve(5, 1);
    if (valve.open(Loop::now())) log_error("log.refused", {{"key", key_}, {"why", error_of(*reply)}});
    if (!is_wrong_type(*reply)) return opening_.try_again();
    return resources_.answers.refuse(hand_over(), 500, "The log cannot be read");
  }
  std::size_t bytes = 0;
  bool full = false;
  for (std::size_t i = 0; i < reply->elements && !full; ++i) {
    const auto entry = read_entry(*reply->element[i], bytes);
    if (!entry) continue;
    below_ = entry->id;
    full = !page_.add(*entry);
  }
  if (!full) resources_.pace.adapt(reply->elements, bytes);
  if (full || reply->elements < read_entries_) {
    answer_page();
  } else {
    read();
  }
}

void LogPage::answer_page() {
  resources_.answers.answer(hand_over(), 200, page_.json());
}

}  // namespace tailgate
