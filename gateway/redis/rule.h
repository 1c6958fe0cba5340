// RedisRule: where Redis is, and how long to wait for it.
//
// Pure.  Values only, and the URL that stands for them.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "gateway/base/endpoint.h"
#include "gateway/base/result.h"

namespace tailgate {

struct RedisRule {
  Endpoint endpoint;
  std::string user;      // empty: the default user
  std::string password;  // empty: none
  int database = 0;
  std::string wakeups;  // "auto" | "notifications" | "sweep": how a log's growth is noticed
  std::chrono::milliseconds connect_timeout{2000};
  std::chrono::milliseconds probe_every{3000};  // liveness of an idle link
  std::chrono::milliseconds wait{3000};         // how long a new request waits for Redis
};

// "redis://[user[:password]@]host[:port][/db]", "rediss://" (needs `leg`), "unix:///path?db=N" or
// "unix:/path".  `leg`: the socket of the nginx leg that speaks TLS for us, or empty.
Result<RedisRule> parse_redis_url(std::string_view url, const std::string& leg);

}  // namespace tailgate
