// Gateway: owns everything and wires it; starts, reloads, drains and stops.
//
// Each member is declared after the members that it needs, and dies before them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gateway/auth/identity_seal.h"
#include "gateway/auth/keys.h"
#include "gateway/base/metrics_text.h"
#include "gateway/base/result.h"
#include "gateway/config/config.h"
#include "gateway/endpoints/answers.h"
#include "gateway/endpoints/auth.h"
#include "gateway/endpoints/drain_state.h"
#include "gateway/endpoints/ops.h"
#include "gateway/endpoints/request_handler.h"
#include "gateway/feeds/channel_feeds.h"
#include "gateway/feeds/job_records.h"
#include "gateway/feeds/log_feeds.h"
#include "gateway/feeds/log_reader.h"
#include "gateway/feeds/read_check.h"
#include "gateway/feeds/status_endpoint.h"
#include "gateway/http/server.h"
#include "gateway/loop/deadlines.h"
#include "gateway/loop/loop.h"
#include "gateway/loop/resolver.h"
#include "gateway/redis/link.h"
#include "gateway/startup.h"
#include "gateway/streams/fan_out.h"
#include "gateway/streams/memory_budget.h"
#include "gateway/streams/route_metrics.h"
#include "gateway/streams/streams.h"

namespace tailgate {

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
  RequestHandler::Resources request_resources();
  Ops::Links links() const;
  RedisLink::Events link_events(std::function<void()> on_up);
  void on_unsound(const std::string& why, bool was_up);
  void on_terminate();
  void on_reload();
  // Reads the key sets and the identity keys that config_ names.
  void read_keys_again();
  // Replaces the parts of redis_ that take effect at the next connection or probe.  The address, the database
  // and `wakeups` change only with a restart.  Otherwise some links could lead to the old server and others
  // to the new one.
  void take_redis_rule(const RedisRule& fresh);
  void write_metrics(MetricsText& out) const;
  void drain();
  void end_streams();
  void end_rest();
  void stop_once_written();

  LoadConfig reload_;
  std::shared_ptr<const Config> first_config_;  // the sockets and the links were made from this configuration
  std::shared_ptr<const Config> config_;        // for new requests; a reload replaces it
  RedisRule redis_;                             // of the links; see take_redis_rule()
  Loop loop_;
  Resolver resolver_;    // needs: loop_
  Deadlines deadlines_;  // needs: loop_
  RouteMetrics metrics_;
  IdentitySeal seal_;
  DrainState drain_;
  // Declared before the streams: connections must outlive their exchanges.
  HttpServer streams_server_;    // needs: loop_
  HttpServer auth_server_;       // needs: loop_
  HttpServer ops_server_;        // needs: loop_
  FanOut fan_out_;               // needs: metrics_
  Streams streams_;              // needs: deadlines_, metrics_
  MemoryBudget memory_;          // needs: streams_
  ChannelFeeds channels_;        // needs: resolver_, the hub of fan_out_
  RedisLink records_link_;       // needs: resolver_
  RedisLink logs_link_;          // needs: resolver_
  RedisLink pages_link_;         // needs: resolver_
  JobRecords records_;           // needs: records_link_, deadlines_
  LogReader log_reader_;         // needs: logs_link_
  LogFeeds log_feeds_;           // needs: log_reader_, channels_, the hub of fan_out_
  ReadCheck read_check_;         // needs: channels_, the three links
  StatusEndpoint applications_;  // needs: resolver_
  Keys keys_;                    // needs: resolver_
  Answers answers_;              // needs: streams_, drain_
  RequestHandler requests_;      // needs: answers_ and the sources above
  Auth auth_;                    // needs: seal_, drain_, keys_
  Ops ops_;                      // needs: the links, read_check_, keys_, drain_
  SignalWatch on_term_;
  SignalWatch on_int_;
  SignalWatch on_hup_;
  bool inherited_;                     // a listening socket was handed over to this process
  std::uint64_t reloads_ = 0;          // of the configuration
  std::uint64_t reloads_refused_ = 0;  // of the configuration or of the identity keys
  bool terminating_ = false;           // a stop signal has arrived
  TimePoint drain_by_{};               // when the last stream must have ended
  // The time from drain_by_ to the deadline.  The first half of it is for sending the last bytes of streams.
  std::chrono::milliseconds flush_time_{};
  Timer starting_;  // polls until the gateway is ready
  Timer settle_;
  Timer deadline_;
  Timer stopping_;
};

}  // namespace tailgate
