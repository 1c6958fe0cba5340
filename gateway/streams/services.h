// Services: what the endpoints share; borrowed from the Gateway, which owns it all.
#pragma once

#include <memory>

#include "gateway/auth/identity_seal.h"
#include "gateway/config/config.h"
#include "gateway/feeds/channel_feeds.h"
#include "gateway/feeds/job_records.h"
#include "gateway/feeds/log_feeds.h"
#include "gateway/feeds/log_reader.h"
#include "gateway/feeds/status_endpoint.h"
#include "gateway/redis/link.h"
#include "gateway/routes/limits.h"
#include "gateway/streams/memory_budget.h"
#include "gateway/streams/route_metrics.h"
#include "gateway/streams/streams.h"

namespace tailgate {

struct Services {
  Streams& streams;
  ChannelFeeds& channels;
  RedisLink& looks;
  JobRecords& records;
  StatusEndpoint& applications;
  LogReader& log_reader;
  LogFeeds& log_feeds;
  RedisLink& pages;
  StreamLimits& limits;
  RouteMetrics& metrics;
  const MemoryBudget& memory;
  const IdentitySeal& seal;
  // How much of a log one read for a page asks for.
  ReadPace page_pace{};
  // The configuration that new requests are served by; a reload replaces it.
  std::shared_ptr<const Config> config;
  std::uint64_t unrouted = 0;  // requests that matched no route
  // Held "unavailable" answers that count against no limit.
  std::size_t held_without_place = 0;
  // Draining, and past the time in which new requests are still served.
  bool turning_away = false;
  // A successor has our sockets: who still asks here is served, and told to close so that it asks there.
  bool handing_over = false;
};

}  // namespace tailgate
