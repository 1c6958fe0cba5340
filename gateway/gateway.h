// Gateway: owns everything and wires it; starts, reloads, drains and stops.
//
// Members stand in birth order, each with what it needs, and die in reverse.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gateway/auth/identity_seal.h"
#include "gateway/auth/keys.h"
#include "gateway/base/result.h"
#include "gateway/config/config.h"
#include "gateway/endpoints/auth.h"
#include "gateway/endpoints/ops.h"
#include "gateway/feeds/channel_feeds.h"
#include "gateway/feeds/job_records.h"
#include "gateway/feeds/log_feeds.h"
#include "gateway/feeds/log_reader.h"
#include "gateway/feeds/status_endpoint.h"
#include "gateway/http/server.h"
#include "gateway/loop/deadlines.h"
#include "gateway/loop/loop.h"
#include "gateway/loop/resolver.h"
#include "gateway/redis/link.h"
#include "gateway/routes/limits.h"
#include "gateway/streams/memory_budget.h"
#include "gateway/streams/route_metrics.h"
#include "gateway/streams/services.h"
#include "gateway/streams/streams.h"

namespace tailgate {

struct Sockets {
  Socket streams;
  Socket auth;
  Socket ops;
  // Handed over to us, so that a successor may be accepting on them too.
  bool inherited = false;
};

class Gateway {
 public:
  using LoadConfig = std::function<Result<std::shared_ptr<const Config>>()>;

  // `reload` reads the configuration anew, for SIGHUP.
  Gateway(std::shared_ptr<const Config> config, Sockets sockets, std::vector<std::string> identity_keys,
          LoadConfig reload);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // Serves until it has been told to stop and has drained.
  void run();

 private:
  void on_terminate();
  void on_reload();
  void write_metrics(MetricsText& out) const;
  void drain();
  void turn_away();
  void end_what_is_left();
  void stop_when_flushed();

  LoadConfig reload_;
  std::shared_ptr<const Config> config_;  // as it was at the start: the links were made from it
  Loop loop_;
  Resolver resolver_;    // needs: loop_
  Deadlines deadlines_;  // needs: loop_
  RouteMetrics metrics_;
  StreamLimits limits_;
  IdentitySeal seal_;
  // Declared before the streams: connections outlive what answers on them.
  HttpServer streams_server_;    // needs: loop_
  HttpServer auth_server_;       // needs: loop_
  HttpServer ops_server_;        // needs: loop_
  Streams streams_;              // needs: deadlines_, metrics_
  MemoryBudget memory_;          // needs: streams_
  ChannelFeeds channels_;        // needs: resolver_, the hub of streams_
  RedisLink looks_;              // needs: resolver_
  RedisLink logs_;               // needs: resolver_
  RedisLink pages_;              // needs: resolver_
  JobRecords records_;           // needs: looks_, deadlines_
  LogReader log_reader_;         // needs: logs_
  LogFeeds log_feeds_;           // needs: log_reader_, channels_
  StatusEndpoint applications_;  // needs: resolver_
  Keys keys_;                    // needs: resolver_
  Services services_;            // borrows from all above
  Readiness readiness_;
  Auth auth_;  // needs: services_, keys_
  Ops ops_;    // needs: services_, keys_, readiness_
  SignalWatch on_term_;
  SignalWatch on_int_;
  SignalWatch on_hup_;
  bool inherited_;
  std::uint64_t reloads_ = 0;          // of the configuration
  std::uint64_t reloads_refused_ = 0;  // of the configuration or of the identity keys
  bool terminating_ = false;           // a SIGTERM has come
  TimePoint drain_by_{};
  std::chrono::milliseconds last_bytes_{};  // what is kept of the deadline behind it
  Timer starting_;                          // until it was ready once
  Timer settle_;
  Timer deadline_;
  Timer flushed_;
};

// The identity keys of `file`; makes it, for its owner alone, where there is none.
Result<std::vector<std::string>> load_identity_keys(const std::string& file);
// The same, of a file that is there.
Result<std::vector<std::string>> read_identity_keys(const std::string& file);

// The listening sockets: those that systemd or a predecessor hands over (LISTEN_FDS, named "streams",
// "auth", "ops"), the others made anew.
Result<Sockets> open_sockets(const Config& config);

}  // namespace tailgate
