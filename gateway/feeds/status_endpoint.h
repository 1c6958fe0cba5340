// StatusEndpoint: asks an application for the status of a job, with the caller's own credentials.
//
// Used for records that are not in Redis.  Streams ask when they open and after each loss of Redis.  Streams
// never poll, because applications limit the rate of requests.  Status 200 means that the caller may see the
// job.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "gateway/http/fetch.h"
#include "gateway/routes/record.h"

namespace tailgate {

enum class Access {
  kAllowed,       // the caller may see the job, or the route has no record
  kNoRecord,      // there is no such job
  kForeign,       // the job belongs to another caller; a status endpoint reports kNoRecord instead
  kUnauthorized,  // the application refuses the caller's credentials
  kTooMany,       // the application refuses the rate of requests
  kUnavailable,   // Redis or the application gave no answer in time
};

class StatusEndpoint {
 public:
  // The record is null unless kAllowed.
  using Done = std::function<void(Access, const Record*)>;

  // Lease: one question under way.  `done` is not called after the lease has died.
  using Question = std::unique_ptr<HttpFetch>;

  StatusEndpoint(const Loop& loop, Resolver& resolver) : loop_(loop), resolver_(resolver) {}

  // `done` is called from the loop, never from inside ask().  `rule` must outlive the question.
  [[nodiscard]] Question ask(const RecordRule& rule, const std::string& id, const HttpHeaders& caller,
                             Done done);

 private:
  const Loop& loop_;
  Resolver& resolver_;
};

}  // namespace tailgate
