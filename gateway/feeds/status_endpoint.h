// StatusEndpoint: asks an application for the status of a job, with the caller's own credentials.
//
// Serves records that are not in Redis.  Streams ask at their opening and after a loss of Redis and never
// poll, because applications limit rates.  Status 200 means that the caller may see the job.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "gateway/http/fetch.h"
#include "gateway/routes/record.h"

namespace tailgate {

class StatusEndpoint {
 public:
  enum class Answer { kRecord, kNotFound, kUnauthorized, kTooMany, kUnavailable };
  using Done = std::function<void(Answer, const Record*)>;

  // One question under way.  `done` is not called after it has died.
  using Question = std::unique_ptr<HttpFetch>;

  StatusEndpoint(const Loop& loop, Resolver& resolver) : loop_(loop), resolver_(resolver) {}

  // `done` is called from the loop, never from inside ask().  `rule` outlives the question.
  [[nodiscard]] Question ask(const RecordRule& rule, const std::string& id, const HttpHeaders& caller,
                             Done done);

 private:
  const Loop& loop_;
  Resolver& resolver_;
};

}  // namespace tailgate
