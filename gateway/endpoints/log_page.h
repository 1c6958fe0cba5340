// LogPage: one page of a log's history, as JSON.
//
// A request that waits for Redis like the opening of a stream, and like one is
// dropped when its client leaves; it never becomes a stream.
#pragma once

#include "gateway/feeds/page.h"
#include "gateway/streams/services.h"
#include "gateway/streams/stream.h"

namespace tailgate {

class LogPage final : public Stream {
 public:
  LogPage(Services& services, Request request);

  // Precondition: has been added to Streams.
  void start();

 private:
  void on_redis_up() override { look(); }
  void on_reminder() override { look(); }
  void on_opening_late() override;

  void look();
  void on_looked(JobRecords::Found found, const Record* record);
  void read();
  void on_range(const redisReply* reply);
  void answer_page();

  Services& services_;
  std::string key_;
  Page page_;
  std::optional<EntryId> below_;  // read up to here, exclusive
  JobRecords::Look look_;
  std::size_t asked_ = 0;  // entries, in the read under way
  RedisCall range_;
};

}  // namespace tailgate
