#include "gateway/redis/reply.h"

#include <algorithm>
#include <array>

namespace tailgate {

std::string_view text_of(const redisReply& reply) {
  return {reply.str, reply.str == nullptr ? 0 : static_cast<std::size_t>(reply.len)};
}

std::string_view error_of(const redisReply& reply) {
  return reply.type == REDIS_REPLY_ERROR ? text_of(reply) : "an answer of another kind";
}

bool is_unavailable(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ERROR) return false;
  const std::string_view text = text_of(reply);
  constexpr std::array<std::string_view, 7> kWords = {"LOADING",  "MASTERDOWN", "NOAUTH",     "READONLY",
                                                      "TRYAGAIN", "BUSY",       "CLUSTERDOWN"};
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return text.starts_with(word); });
}

bool is_server_unsound(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ERROR) return false;
  const std::string_view text = text_of(reply);
  return text.starts_with("LOADING") || text.starts_with("MASTERDOWN");
}

bool is_wrong_type(const redisReply& reply) {
  return reply.type == REDIS_REPLY_ERROR && text_of(reply).starts_with("WRONGTYPE");
}

}  // namespace tailgate
