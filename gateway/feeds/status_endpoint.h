// StatusEndpoint: asks an application where a job stands, with the caller's own credentials.
//
// For records that are not in Redis.  Asked at an opening and after a Redis loss, never
// polled: applications limit rates.  A 200 says that the caller may see the job.
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

  // One question under way.  Destroying it makes sure that its answer is never delivered.
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
