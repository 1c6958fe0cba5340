// LogPage: answers one page of a log's history, as JSON.
//
// Waits for Redis as the opening of a stream does, and ends when its client leaves.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "gateway/endpoints/answers.h"
#include "gateway/feeds/log_reader.h"
#include "gateway/feeds/page.h"
#include "gateway/redis/link.h"
#include "gateway/streams/active_request.h"
#include "gateway/streams/opening.h"

namespace tailgate {

class LogPage final : public ActiveRequest, private Opening::Observer {
 public:
  struct Resources {
    Opening::Sources opening;
    RedisLink& link;
    Answers& answers;
    ReadPace pace{};  // how many entries one read requests; shared by all pages
  };

  LogPage(Streams& streams, Resources& resources, Request request);
  // Precondition: Streams owns this object.
  void start() { opening_.advance(); }

 private:
  bool is_ready() const override { return !condemned() && resources_.link.up(); }
  void on_outcome(Access access, const Record* record) override;
  void on_redis_up() override { opening_.advance(); }

  void read();
  void on_range(const redisReply* reply);
  void answer_page();

  Resources& resources_;
  std::string key_;
  Page page_;
  std::optional<EntryId> below_;  // the next read requests entries older than this one
  std::size_t read_entries_ = 0;  // how many entries the read under way requests
  RedisCall range_;
  Opening opening_;
};

}  // namespace tailgate
