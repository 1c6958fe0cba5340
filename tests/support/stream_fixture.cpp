#include "tests/support/stream_fixture.h"

#include <chrono>
#include <utility>

#include "gateway/config/config.h"

namespace tailgate::testing {

namespace {

constexpr std::string_view kRoutes = R"(
[provider.p]
secret = "0123456789abcdef0123456789abcdef"
algorithms = ["HS256"]

[record.job]
key      = "job:{id}"
user     = "user_id"
status   = "status"
terminal = ["ready", "failed"]

[record.job.fields.error]
from = "error"

[record.asked]
kind     = "http"
target   = "unix:@app.sock"
path     = "/status/{id}"
forward  = ["Cookie"]
status   = "status"
terminal = ["ready"]

[route.events]
path     = "/events/{id}"
source   = "channel"
key      = "job:{id}:events"
who      = "anyone"
framing  = "raw"

[route.guarded]
path           = "/guarded/{id}"
source         = "channel"
key            = "job:{id}:events"
record         = "job"
who            = "owner"
providers      = ["p"]
credentials    = ["bearer"]
framing        = "raw"
on_unavailable = "status"
ends_on        = { field = "status" }
ending         = [{ event = "end", data = '{"status":${status}}' }]

[route.outcome]
path           = "/outcome/{id}"
source         = "channel"
key            = "job:{id}:events"
record         = "job"
who            = "owner"
providers      = ["p"]
credentials    = ["bearer"]
framing        = "raw"
on_unavailable = "status"
ending         = [{ event = "end", data = '{"error":${error}}' }]

[route.lines]
path         = "/lines/{id}"
source       = "log"
key          = "job:{id}:logs"
record       = "job"
end_grace_ms = 300
who          = "owner"
providers    = ["p"]
credentials  = ["bearer"]
event        = "log"
entry        = ["text"]
ending       = [{ event = "done", data = '{"status":${status}}' }]

[route.lines-at-once]
path         = "/lines-at-once/{id}"
source       = "log"
key          = "job:{id}:logs"
record       = "job"
end_grace_ms = 0
who          = "owner"
providers    = ["p"]
credentials  = ["bearer"]
event        = "log"
entry        = ["text"]
ending       = [{ event = "done", data = '{"status":${status}}' }]

[route.short-lines]
path        = "/short-lines/{id}"
source      = "log"
key         = "job:{id}:logs"
record      = "job"
max_age_s   = 0.5
who         = "owner"
providers   = ["p"]
credentials = ["bearer"]
entry       = ["text"]
ending      = [{ event = "done", data = '{"status":${status}}' }]

[route.old-lines]
path        = "/old-lines/{id}"
source      = "pages"
key         = "job:{id}:logs"
record      = "job"
who         = "owner"
providers   = ["p"]
credentials = ["bearer"]
entry       = ["text"]

[route.asked]
path           = "/asked/{id}"
source         = "channel"
key            = "job:{id}:events"
record         = "asked"
who            = "owner"
auth           = "application"
framing        = "raw"
on_unavailable = "status"
ending         = [{ event = "end", data = '{"status":${status}}' }]

[route.bare]
path    = "/bare/{id}"
source  = "channel"
key     = "{id}:invalidate"
who     = "anyone"
framing = "raw"
)";

std::shared_ptr<const Config> load(std::string text, const std::string& folder) {
  text.replace(text.find("@app.sock"), 9, folder + "/app.sock");
  const ConfigSources sources{
      .env = [](const std::string&) { return std::optional<std::string>(); },
      .read_file = [](const std::string& file) { return Result<std::string>(Error{file}); }};
  auto config = load_config(text, "test.toml", {}, sources);
  if (!config) throw std::runtime_error(config.error());
  return *config;
}

}  // namespace

StreamTest::StreamTest(const std::string& more)
    : config_(load("[redis]\nurl = \"unix:/unused\"\n" + more + std::string(kRoutes), path("."))) {
  const Opening::Sources opening{.records = records_, .applications = applications_, .deadlines = deadlines_};
  requests_ = std::make_unique<RequestHandler>(RequestHandler::Resources{
      .config = config_,
      .seal = seal_,
      .memory = memory_,
      .drain = drain_,
      .streams = streams_,
      .answers = answers_,
      .events = {.opening = opening, .hub = fan_out_.hub(), .channels = channels_, .answers = answers_},
      .logs = {.opening = opening,
               .hub = fan_out_.hub(),
               .log_reader = log_reader_,
               .log_feeds = log_feeds_,
               .answers = answers_},
      .pages = {.opening = opening, .link = pages_link_, .answers = answers_}});
  auto socket = listen_unix({.path = path("streams.sock"), .mode = 0600, .group = {}});
  if (!socket) throw std::runtime_error(socket.error());
  listener_ = std::make_unique<HttpServer>(
      loop_, std::move(*socket),
      [this](std::unique_ptr<Exchange> exchange) { requests_->handle(std::move(exchange)); });
  listener_->start();
  if (!run_until([this] { return all_links_are_up(); })) throw std::runtime_error("no link to Redis");
  worker_.reset(redisConnectUnix(server_.socket_path().c_str()));
}

StreamTest::~StreamTest() {
  streams_.clear();
}

HttpClient StreamTest::get(std::string_view target, const HttpHeaders& headers, std::string_view method) {
  return {path("streams.sock"), target, headers, method};
}

HttpHeaders StreamTest::identity(const std::string& user, std::string_view route,
                                 std::string_view job) const {
  const Identity who{.user = user, .session = {}, .provider = "p", .until = std::nullopt};
  const auto now = std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
  return {{"X-Tailgate-Identity", seal_.seal(who, route, job, now + std::chrono::minutes(1))}};
}

void StreamTest::create_job(const char* id) const {
  redis("HSET job:%s user_id alice status running", id);
  redis("XADD job:%s:logs 1-1 text first", id);
}

void StreamTest::on_unsound(const std::string& why) {
  channels_.drop(why);
  for (RedisLink* link : {&records_link_, &logs_link_, &pages_link_}) {
    if (link->up()) link->drop(why);
  }
}

bool StreamTest::all_links_are_up() const {
  return channels_.up() && records_link_.up() && logs_link_.up() && pages_link_.up();
}

std::string StreamTest::metrics() const {
  MetricsText out;
  streams_.write_metrics(out);
  requests_->write_metrics(out);
  return out.text();
}

std::string StreamTest::text_and_free(redisReply* reply) {
  if (reply == nullptr) throw std::runtime_error("Redis is gone");
  std::string text = reply->type == REDIS_REPLY_INTEGER ? std::to_string(reply->integer)
                     : reply->str == nullptr            ? std::string()
                                                        : std::string(reply->str, reply->len);
  freeReplyObject(reply);
  return text;
}

}  // namespace tailgate::testing
