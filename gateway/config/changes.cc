#include "gateway/config/changes.h"

namespace tailgate {

std::vector<std::string> keys_that_need_a_restart(const Config& at_start, const Config& fresh) {
  std::vector<std::string> keys;
  const auto compare = [&keys](const char* key, const auto& before, const auto& after) {
    if (!(before == after)) keys.emplace_back(key);
  };
  compare("listen.streams", at_start.listen_streams, fresh.listen_streams);
  compare("listen.auth", at_start.listen_auth, fresh.listen_auth);
  compare("listen.ops", at_start.listen_ops, fresh.listen_ops);
  compare("listen.socket_mode", at_start.socket_mode, fresh.socket_mode);
  compare("listen.socket_group", at_start.socket_group, fresh.socket_group);

  const RedisRule& before = at_start.redis;
  const RedisRule& after = fresh.redis;
  const bool is_leg = before.through_leg && after.through_leg;
  if (is_leg) compare("redis.tls_leg", before.endpoint, after.endpoint);
  const bool is_other_server =
      is_leg ? before.tls_server != after.tls_server : before.endpoint != after.endpoint;
  if (is_other_server || before.database != after.database) keys.emplace_back("redis.url");
  compare("redis.wakeups", before.wakeups, after.wakeups);
  return keys;
}

}  // namespace tailgate
