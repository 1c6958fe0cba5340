// StreamTest: all classes between a redis-server and a client's socket, on one loop.
//
// It wires them as Gateway does, with one listener.  There are no tokens: the test seals the identities.
// Each Redis link has its own proxy, so a test can hold back the answers on one link.
#pragma once

#include <hiredis/hiredis.h>

#include <memory>
#include <string>
#include <string_view>

#include "gateway/endpoints/request_handler.h"
#include "gateway/feeds/channel_feeds.h"
#include "gateway/feeds/job_records.h"
#include "gateway/feeds/log_feeds.h"
#include "gateway/feeds/log_reader.h"
#include "gateway/feeds/status_endpoint.h"
#include "gateway/http/server.h"
#include "gateway/streams/fan_out.h"
#include "gateway/streams/memory_budget.h"
#include "gateway/streams/streams.h"
#include "tests/support/http_client.h"
#include "tests/support/lagging_proxy.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/redis_server.h"

namespace tailgate::testing {

class StreamTest : public LoopTest {
 protected:
  // The routes are /events, /guarded, /outcome, /lines, /lines-at-once, /short-lines, /old-lines, /asked and
  // /bare, each followed by /{id}; see kRoutes in stream_fixture.cpp.  `more` is added to the configuration.
  explicit StreamTest(const std::string& more = {});
  ~StreamTest() override;

  HttpClient get(std::string_view target, const HttpHeaders& headers = {}, std::string_view method = "GET");
  // The header with a sealed identity of `user` for `job` on `route`.
  HttpHeaders identity(const std::string& user, std::string_view route, std::string_view job) const;
  // Runs a Redis command at once, between two turns of the loop.  Returns the integer or text of the reply.
  template <typename... Arguments>
  std::string redis(const char* format, Arguments... arguments) const {
    return text_and_free(static_cast<redisReply*>(redisCommand(worker_.get(), format, arguments...)));
  }
  // Creates a running job of "alice" whose log has one line.
  void create_job(const char* id) const;
  // Waits until the response has begun with status 200.
  bool opened(HttpClient& client) {
    return run_until([&] { return client.status() == 200; });
  }
  bool all_links_are_up() const;
  std::string metrics() const;

  struct Link {
    Link(const Loop& loop, const std::string& path, const RedisServer& server)
        : proxy(loop, path, server.socket_path()), rule(*parse_redis_url("unix:" + path, {})) {
      rule.wakeups = "sweep";
    }
    LaggingProxy proxy;
    RedisRule rule;
  };

  RedisServer server_{path("."), ""};
  Link channels_path_{loop_, path("c.sock"), server_};
  Link records_path_{loop_, path("r.sock"), server_};
  Link logs_path_{loop_, path("l.sock"), server_};
  Link pages_path_{loop_, path("p.sock"), server_};
  std::shared_ptr<const Config> config_;
  std::uint64_t memory_bound_ = 0;
  Deadlines deadlines_{loop_};
  RouteMetrics metrics_;
  IdentitySeal seal_{{std::string(32, 'k')}};
  DrainState drain_;
  std::unique_ptr<HttpServer> listener_;
  FanOut fan_out_{loop_, metrics_};
  Streams streams_{loop_, deadlines_, metrics_};
  MemoryBudget memory_{loop_, streams_, [this] { return memory_bound_; }};
  ChannelFeeds channels_{loop_, resolver_, channels_path_.rule, fan_out_.hub()};
  RedisLink records_link_{loop_, resolver_, records_path_.rule, "records", wakes_streams()};
  RedisLink logs_link_{loop_,
                       resolver_,
                       logs_path_.rule,
                       "logs",
                       {.on_up =
                            [this] {
                              log_feeds_.on_up();
                              streams_.on_redis_up();
                            },
                        .on_down = {},
                        .on_unsound = [this](const std::string& why, bool) { on_unsound(why); }}};
  RedisLink pages_link_{loop_, resolver_, pages_path_.rule, "pages", wakes_streams()};
  JobRecords records_{loop_, records_link_, channels_, deadlines_, "sweep"};
  LogReader log_reader_{logs_link_};
  LogFeeds log_feeds_{loop_, logs_link_, log_reader_, channels_, fan_out_.hub(), "sweep"};
  StatusEndpoint applications_{loop_, resolver_};
  Answers answers_{streams_, drain_};
  std::unique_ptr<RequestHandler> requests_;

 private:
  RedisLink::Events wakes_streams() {
    return {.on_up = [this] { streams_.on_redis_up(); },
            .on_down = {},
            .on_unsound = [this](const std::string& why, bool) { on_unsound(why); }};
  }
  // Drops all links.  (Gateway keeps them if the server was found unsound by a greeting and a link is up.)
  void on_unsound(const std::string& why);
  static std::string text_and_free(redisReply* reply);

  struct Disconnect {
    void operator()(redisContext* context) const { redisFree(context); }
  };
  std::unique_ptr<redisContext, Disconnect> worker_;
};

}  // namespace tailgate::testing
