#include "gateway/redis/advice.h"

namespace tailgate {

std::string_view advice_about(std::string_view error) {
  constexpr std::string_view kCluster =
      "this is a node of a Redis Cluster, and Tailgate needs one server that holds all keys";
  for (const std::string_view word : {"MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN"}) {
    if (error.starts_with(word)) return kCluster;
  }
  const auto has = [&](std::string_view words) { return error.find(words) != std::string_view::npos; };
  if (has("cluster mode")) return kCluster;  // of SELECT
  if (has("NOPERM")) return "the Redis user lacks a right; see \"Redis rights\" in deploy/README.md";
  if (has("unknown command") || has("unknown subcommand"))
    return "this server lacks the command: is it a Sentinel or a proxy? redis.url must name the primary";
  return {};
}

}  // namespace tailgate
