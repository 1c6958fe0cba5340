// RedisRule: the address of Redis and how long to wait for it.
//
// Pure.  Holds the values and reads them from a URL.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "gateway/base/endpoint.h"
#include "gateway/base/result.h"

namespace tailgate {

struct RedisRule {
  Endpoint endpoint;
  bool through_leg = false;  // `endpoint` is the unix socket of the nginx that speaks TLS to `tls_server`
  Endpoint tls_server;       // if through_leg: the server in the URL
  std::string user;          // empty: the default user
  std::string password;      // empty: none
  int database = 0;
  std::string wakeups;  // "auto" | "notifications" | "sweep": how the gateway learns of changed keys
  std::chrono::milliseconds connect_timeout{2000};
  std::chrono::milliseconds probe_every{3000};  // how often a link checks that Redis still answers
  std::chrono::milliseconds wait{3000};         // how long a new request waits for Redis
};

// Reads "redis://[user[:password]@]host[:port][/db]", "rediss://" (needs `leg`), "unix:///path?db=N" or
// "unix:/path".  Refuses a URL that names its database, user or password twice, because clients of Redis
// differ in which of the two they take.  `leg` is the unix socket of the nginx server that speaks TLS to
// Redis, or empty.  An error never contains the URL, because the URL holds the password.
Result<RedisRule> parse_redis_url(std::string_view url, const std::string& leg);

}  // namespace tailgate
