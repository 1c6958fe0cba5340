// Intake: the stream listener's front door.  Every request passes the checks here, in this order: route
// 404, method 405, identity 401, parameters 422, limits 429; Redis 503 and record 404 come later.
//
// Believes no header but the sealed identity.
#pragma once

#include <memory>

#include "gateway/streams/services.h"

namespace tailgate {

// Takes one request from the stream listener.
void handle_request(Services& services, std::unique_ptr<Exchange> exchange);

// Path and query of a request target; an absolute-form target has no path for us.
struct Target {
  std::string_view path;
  std::string_view query;
};
Target split_target(std::string_view target);

}  // namespace tailgate
