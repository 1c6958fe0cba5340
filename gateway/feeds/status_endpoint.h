// StatusEndpoint: asks an application for the status of a job, with the caller's own credentials.
//
// Used for records that are not in Redis.  Streams ask when they open and after each loss of Redis.  Streams
// never poll, because applications limit the rate of requests.  Status 200 means that the caller may see the
// job.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gateway/http/fetch.h"
#include "gateway/routes/record.h"

namespace tailgate {

enum class Access {
  kAllowed,       // the caller may see the job, or the route has no record
  kNoRecord,      // there is no such job
  kForeign,       // the job belongs to another caller; a status endpoint reports kNoRecord instead
  kUnauthorized,  // the application refuses the caller's credentials
  kTooMany,       // the application answers that it gets too many requests
  kUnavailable,   // Redis gave no answer in time, or refuses the channel or the record
  kNoAnswer,      // the application gave no answer in time, or one that cannot be read
};

struct StatusAnswer {
  Access access = Access::kNoAnswer;
  std::optional<Record> record;  // only if kAllowed
  std::string retry_after;       // the answer's Retry-After; may be empty
};

class StatusEndpoint {
 public:
  using Done = std::function<void(const StatusAnswer&)>;

  // Lease: one question under way.  `done` is not called after the lease has died.
  using Question = std::unique_ptr<HttpFetch>;

  StatusEndpoint(const Loop& loop, Resolver& resolver) : loop_(loop), resolver_(resolver) {}

  // Sends a GET for `path`, which may have a query.  `done` is called from the loop, never from inside ask().
  // `rule` must outlive the question.
  [[nodiscard]] Question ask(const RecordRule& rule, std::string path, const HttpHeaders& caller, Done done);

 private:
  const Loop& loop_;
  Resolver& resolver_;
};

}  // namespace tailgate
