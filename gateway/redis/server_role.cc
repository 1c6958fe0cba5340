#include "gateway/redis/server_role.h"

#include <string_view>

#include "gateway/redis/reply.h"

namespace tailgate {

namespace {

std::string describe(const ServerRole& role) {
  switch (role.kind) {
    case ServerRole::Kind::kPrimary:
      return "a primary";
    case ServerRole::Kind::kReplica:
      return "a replica of " + role.primary;
    case ServerRole::Kind::kSentinel:
      return "a Sentinel";
    case ServerRole::Kind::kUnknown:
      break;
  }
  return "of unknown role";
}

}  // namespace

ServerRole read_role(const redisReply& reply) {
  ServerRole role;
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements == 0) return role;
  const std::string_view name = text_of(*reply.element[0]);
  if (name == "master") {
    role.kind = ServerRole::Kind::kPrimary;
  } else if (name == "sentinel") {
    role.kind = ServerRole::Kind::kSentinel;
  } else if (name == "slave" && reply.elements >= 4) {
    // The name of the role, the primary's host and port, the state of the link, the offset.
    role.kind = ServerRole::Kind::kReplica;
    role.primary = std::string(text_of(*reply.element[1])) + ':' + std::to_string(reply.element[2]->integer);
    role.follows = text_of(*reply.element[3]) == "connected";
  }
  return role;
}

std::string why_unsound(const ServerRole& role) {
  if (role.kind == ServerRole::Kind::kSentinel)
    return "this is a Sentinel, which holds no data; redis.url must name the primary";
  if (!role.follows) return "this replica does not follow its primary " + role.primary;
  return {};
}

std::string why_changed(const ServerRole& before, const ServerRole& now) {
  if (before.kind == now.kind && before.primary == now.primary) return {};
  return "the server was " + describe(before) + " and is " + describe(now);
}

}  // namespace tailgate
