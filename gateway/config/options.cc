#include "gateway/config/options.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

using Type = Option::Type;

constexpr double kDay_s = 86400;
constexpr double kGigabyte = 1U << 30;

// clang-format off
constexpr Option kOptions[] = {
    {.key = "listen.streams", .type = Type::kText, .fallback = R"("unix:/run/tailgate/streams.sock")", .what = "where nginx sends the requests for streams and pages"},
    {.key = "listen.auth", .type = Type::kText, .fallback = R"("unix:/run/tailgate/auth.sock")", .what = "where nginx verifies each request with auth_request"},
    {.key = "listen.ops", .type = Type::kText, .fallback = R"("127.0.0.1:9180")", .what = "where /healthz, /readyz, /metrics and POST /drain are"},
    {.key = "listen.socket_mode", .type = Type::kText, .fallback = R"("0660")", .what = "the permissions of the unix sockets, in octal"},
    {.key = "listen.socket_group", .type = Type::kText, .fallback = R"("")", .what = "the group of the unix sockets; empty: unchanged"},

    {.key = "identity.key_file", .type = Type::kText, .fallback = R"("/run/tailgate/identity.key")", .what = "the file with the keys that seal identities"},
    {.key = "identity.life_s", .type = Type::kDuration, .fallback = "300", .what = "how long a sealed identity is valid; more than nginx's time-outs", .min = 60, .max = kDay_s},

    {.key = "redis.url", .type = Type::kText, .what = "the URL of Redis", .group = "url"},
    {.key = "redis.url_env", .type = Type::kText, .what = "the environment variable that holds the URL of Redis", .group = "url"},
    {.key = "redis.url_file", .type = Type::kText, .what = "the file that holds the URL of Redis", .group = "url"},
    {.key = "redis.tls_leg", .type = Type::kText, .fallback = R"("")", .what = "the unix socket of the nginx that speaks TLS to Redis"},
    {.key = "redis.wakeups", .type = Type::kChoice, .fallback = R"("auto")", .what = "how Tailgate learns that a log or a record has changed", .choices = "auto|notifications|sweep"},
    {.key = "redis.connect_timeout_s", .type = Type::kDuration, .fallback = "2", .what = "how long Tailgate waits for a connection to Redis", .min = 0.05, .max = 60},
    {.key = "redis.probe_every_s", .type = Type::kDuration, .fallback = "3", .what = "how often an idle connection is probed", .min = 0.05, .max = 60},
    {.key = "redis.wait_s", .type = Type::kDuration, .fallback = "3", .what = "how long a new request waits for Redis before its 503", .min = 0.05, .max = 60},

    {.key = "cors.origins", .type = Type::kTexts, .fallback = "[]", .what = "the web origins whose scripts may read the answers"},
    {.key = "cors.allowed_headers", .type = Type::kTexts, .fallback = R"(["authorization", "content-type", "last-event-id", "x-session-id", "cache-control", "x-request-id", "traceparent", "tracestate", "baggage", "sentry-trace", "x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-origin", "x-datadog-sampling-priority"])", .what = "the headers that scripts of these origins may send"},

    {.key = "limits.streams", .type = Type::kInteger, .fallback = "0", .what = "the number of open streams; 0: no limit", .max = 1e9},
    {.key = "limits.streams_per_user", .type = Type::kInteger, .fallback = "0", .what = "the number of open streams of one user; 0: no limit", .max = 1e9},
    {.key = "limits.streams_per_address", .type = Type::kInteger, .fallback = "0", .what = "the number of open streams of one client address; 0: no limit", .max = 1e9},
    {.key = "limits.memory_mb", .type = Type::kInteger, .fallback = "512", .what = "the size of the heap in MiB; 0: no limit", .max = 1e6},
    {.key = "limits.trusted_proxies", .type = Type::kTexts, .fallback = "[]", .what = "the proxies whose X-Forwarded-For or Forwarded is believed"},
    {.key = "limits.address_from", .type = Type::kChoice, .fallback = R"("x-forwarded-for")", .what = "the header that names the client's address", .choices = "x-forwarded-for|forwarded"},
    {.key = "limits.ipv6_prefix", .type = Type::kInteger, .fallback = "64", .what = "how many bits of an IPv6 address name a client", .min = 1, .max = 128},

    {.key = "drain.settle_s", .type = Type::kDuration, .fallback = "5", .what = "how long requests are still served while /readyz answers 503", .max = 3600},
    {.key = "drain.deadline_s", .type = Type::kDuration, .fallback = "25", .what = "how long after the signal the process ends", .min = 0.1, .max = 3600},

    {.key = "provider.*.secret", .type = Type::kTextOrTexts, .what = "the shared secret", .group = "keys"},
    {.key = "provider.*.secret_env", .type = Type::kTextOrTexts, .what = "the environment variable that holds the shared secret", .group = "keys"},
    {.key = "provider.*.secret_file", .type = Type::kTextOrTexts, .what = "the file that holds the shared secret", .group = "keys"},
    {.key = "provider.*.jwks", .type = Type::kTextOrTexts, .what = "where the issuer's public keys are", .group = "keys"},
    {.key = "provider.*.algorithms", .type = Type::kTexts, .what = "the signature algorithms that are accepted"},
    {.key = "provider.*.issuer", .type = Type::kText, .what = "the required value of `iss`", .group = "issuer"},
    {.key = "provider.*.clerk_publishable_key", .type = Type::kText, .what = "the Clerk key that holds the issuer's name", .group = "issuer"},
    {.key = "provider.*.clerk_publishable_key_env", .type = Type::kText, .what = "the environment variable that holds the Clerk key", .group = "issuer"},
    {.key = "provider.*.audience", .type = Type::kTextOrTexts, .fallback = "[]", .what = "the values of which `aud` must hold one; empty: not checked"},
    {.key = "provider.*.authorized_parties", .type = Type::kTexts, .fallback = "[]", .what = "the allowed values of `azp`; empty: not checked"},
    {.key = "provider.*.required", .type = Type::kTexts, .fallback = R"(["exp"])", .what = "the claims that a token must have"},
    {.key = "provider.*.subject", .type = Type::kText, .fallback = R"("sub")", .what = "the claim that holds the user's id"},
    {.key = "provider.*.leeway_s", .type = Type::kDuration, .fallback = "5", .what = "how much the clocks may differ", .max = 300},
    {.key = "provider.*.at_expiry", .type = Type::kChoice, .fallback = R"("keep")", .what = "whether a stream stays open when its token expires", .choices = "keep|end"},
    {.key = "provider.*.refresh_s", .type = Type::kDuration, .fallback = "300", .what = "how often the public keys are fetched again", .min = 1, .max = kDay_s},

    {.key = "record.*.kind", .type = Type::kChoice, .fallback = R"("hash")", .what = "where the record is: in Redis or at the application", .choices = "hash|http"},
    {.key = "record.*.key", .type = Type::kText, .what = "the key of the hash, with the names of the path's segments, as {id}"},
    {.key = "record.*.user", .type = Type::kText, .fallback = R"("")", .what = "the field that holds the owning user"},
    {.key = "record.*.session", .type = Type::kText, .fallback = R"("")", .what = "the field that holds the owning session"},
    {.key = "record.*.target", .type = Type::kText, .what = "the address of the application: \"unix:<socket>\" or \"<host>:<port>\""},
    {.key = "record.*.path", .type = Type::kText, .what = "the path of the application's status endpoint, with the names of the path's segments, as {id}"},
    {.key = "record.*.forward", .type = Type::kTexts, .fallback = "[]", .what = "the headers of the caller that are sent along"},
    {.key = "record.*.timeout_s", .type = Type::kDuration, .fallback = "3", .what = "how long Tailgate waits for the application", .min = 0.05, .max = 60},
    {.key = "record.*.status", .type = Type::kText, .fallback = R"("")", .what = "the field or member that holds the status"},
    {.key = "record.*.terminal", .type = Type::kTexts, .fallback = "[]", .what = "the statuses of a job that has ended"},
    {.key = "record.*.fields.*.from", .type = Type::kText, .what = "the field or member; by default the name of the table"},
    {.key = "record.*.fields.*.as", .type = Type::kChoice, .fallback = R"("text")", .what = "how the field is read", .choices = "text|number|json"},
    {.key = "record.*.fields.*.absent", .type = Type::kScalar, .what = "the value if the field is absent; by default null"},

    {.key = "route.*.path", .type = Type::kText, .what = "the path of the request, with one or two named segments, such as {id}"},
    {.key = "route.*.id", .type = Type::kChoice, .fallback = R"("segment")", .what = "what an {id} looks like", .choices = "segment|uuid|int"},
    {.key = "route.*.id_chars", .type = Type::kText, .fallback = R"("")", .what = "the further characters that an {id} may hold"},
    {.key = "route.*.trailing_slash", .type = Type::kBoolean, .fallback = "false", .what = "whether the path may also end in \"/\""},
    {.key = "route.*.source", .type = Type::kChoice, .what = "where events come from", .choices = "channel|log|pages"},
    {.key = "route.*.key", .type = Type::kText, .what = "the channel or the log, with named segments of the path, such as {id}"},
    {.key = "route.*.record", .type = Type::kText, .what = "the record that holds a job's owner and status"},
    {.key = "route.*.record_grace_ms", .type = Type::kDuration, .fallback = "0", .what = "how long Tailgate waits for a record that does not exist yet", .max = 2500},
    {.key = "route.*.end_grace_ms", .type = Type::kDuration, .fallback = "1000", .what = "how long the log of an ended job must be silent before its streams end", .max = 5000, .sources = Option::kLog},
    {.key = "route.*.who", .type = Type::kChoice, .what = "who may open it", .choices = "owner|anyone"},
    {.key = "route.*.auth", .type = Type::kChoice, .fallback = R"("gateway")", .what = "who verifies the caller", .choices = "gateway|application"},
    {.key = "route.*.providers", .type = Type::kTexts, .fallback = "[]", .what = "the providers whose tokens are accepted"},
    {.key = "route.*.credentials", .type = Type::kTexts, .fallback = "[]", .what = "the parts of a request that can hold a token or a session, in order"},
    {.key = "route.*.framing", .type = Type::kChoice, .what = "how a payload becomes an event", .choices = "raw|named|entry", .sources = Option::kStreams},
    {.key = "route.*.event", .type = Type::kText, .fallback = R"("")", .what = "the name of every event", .sources = Option::kStreams},
    {.key = "route.*.id_from", .type = Type::kText, .fallback = R"("")", .what = "the member that becomes an event's id", .sources = Option::kChannel},
    {.key = "route.*.only_objects", .type = Type::kBoolean, .fallback = "false", .what = "whether payloads that are not JSON objects are skipped", .sources = Option::kChannel},
    {.key = "route.*.name_from", .type = Type::kTexts, .fallback = "[]", .what = "the members that can hold an event's name", .sources = Option::kChannel},
    {.key = "route.*.data_from", .type = Type::kText, .fallback = R"("")", .what = "the member that holds an event's data", .sources = Option::kChannel},
    {.key = "route.*.entry", .type = Type::kTexts, .fallback = "[]", .what = "the fields of a line, in order", .sources = Option::kLog | Option::kPages},
    {.key = "route.*.ends_on.field", .type = Type::kText, .fallback = R"("")", .what = "the member whose value can end a stream", .sources = Option::kChannel},
    {.key = "route.*.ends_on.values", .type = Type::kTexts, .fallback = "[]", .what = "the values that end a stream; by default the record's terminal statuses", .sources = Option::kChannel},
    {.key = "route.*.ends_on.events", .type = Type::kTexts, .fallback = "[]", .what = "the names of the events that end a stream", .sources = Option::kChannel},
    {.key = "route.*.heartbeat.every_s", .type = Type::kDuration, .fallback = "15", .what = "the time between heartbeats", .min = 0.05, .max = 3600, .sources = Option::kStreams},
    {.key = "route.*.heartbeat.when", .type = Type::kChoice, .fallback = R"("silent")", .what = "whether heartbeats are sent only after silence", .choices = "silent|always", .sources = Option::kStreams},
    {.key = "route.*.heartbeat.comment", .type = Type::kProse, .what = "the heartbeat's comment", .sources = Option::kStreams},
    {.key = "route.*.heartbeat.event", .type = Type::kText, .fallback = R"("")", .what = "the name of the heartbeat's event", .sources = Option::kStreams},
    {.key = "route.*.heartbeat.data", .type = Type::kProse, .what = "the data of the heartbeat's event, JSON", .sources = Option::kStreams},
    {.key = "route.*.heartbeat.text", .type = Type::kProse, .what = "the data of the heartbeat's event, plain text", .sources = Option::kStreams},
    {.key = "route.*.hello[].comment", .type = Type::kProse, .what = "a first message that is a comment", .sources = Option::kStreams},
    {.key = "route.*.hello[].event", .type = Type::kText, .fallback = R"("")", .what = "the name of a first event", .sources = Option::kStreams},
    {.key = "route.*.hello[].data", .type = Type::kProse, .what = "the data of a first event, JSON", .sources = Option::kStreams},
    {.key = "route.*.hello[].text", .type = Type::kProse, .what = "the data of a first event, plain text", .sources = Option::kStreams},
    {.key = "route.*.standing[].status", .type = Type::kTexts, .fallback = "[]", .what = "the statuses of the running jobs that get this message; empty: all", .sources = Option::kStreams},
    {.key = "route.*.standing[].comment", .type = Type::kProse, .what = "the status of a running job as a comment", .sources = Option::kStreams},
    {.key = "route.*.standing[].event", .type = Type::kText, .fallback = R"("")", .what = "the name of the event with a running job's status", .sources = Option::kStreams},
    {.key = "route.*.standing[].data", .type = Type::kProse, .what = "the data of that event, JSON", .sources = Option::kStreams},
    {.key = "route.*.standing[].text", .type = Type::kProse, .what = "the data of that event, plain text", .sources = Option::kStreams},
    {.key = "route.*.ending[].status", .type = Type::kTexts, .fallback = "[]", .what = "the terminal statuses that get this message; empty: all", .sources = Option::kStreams},
    {.key = "route.*.ending[].event", .type = Type::kText, .fallback = R"("")", .what = "the name of an ended job's last event", .sources = Option::kStreams},
    {.key = "route.*.ending[].data", .type = Type::kProse, .what = "the data of that event, JSON", .sources = Option::kStreams},
    {.key = "route.*.ending[].text", .type = Type::kProse, .what = "the data of that event, plain text", .sources = Option::kStreams},
    {.key = "route.*.retry_ms", .type = Type::kDuration, .fallback = "3000", .what = "how long a browser waits before it reconnects", .min = 1, .max = 600000, .sources = Option::kStreams},
    {.key = "route.*.max_age_s", .type = Type::kDuration, .fallback = "0", .what = "how long a stream may stay open; 0: no limit", .max = 30 * kDay_s, .sources = Option::kStreams},
    {.key = "route.*.age_notice.before_s", .type = Type::kDuration, .fallback = "10", .what = "how long before max_age_s the notice is sent", .min = 0.01, .max = 3600, .sources = Option::kStreams},
    {.key = "route.*.age_notice.comment", .type = Type::kProse, .what = "the notice as a comment", .sources = Option::kStreams},
    {.key = "route.*.age_notice.event", .type = Type::kText, .fallback = R"("")", .what = "the name of the notice's event", .sources = Option::kStreams},
    {.key = "route.*.age_notice.data", .type = Type::kProse, .what = "the data of the notice's event, JSON", .sources = Option::kStreams},
    {.key = "route.*.age_notice.text", .type = Type::kProse, .what = "the data of the notice's event, plain text", .sources = Option::kStreams},
    {.key = "route.*.send_timeout_s", .type = Type::kDuration, .what = "how long a client may accept no byte; by default 30, for a log 600", .min = 0.1, .max = kDay_s, .sources = Option::kStreams},
    {.key = "route.*.backlog_bytes", .type = Type::kInteger, .what = "how many bytes are held for a slow client; by default 4194304, for a log 262144", .min = 1024, .max = kGigabyte, .sources = Option::kStreams},
    {.key = "route.*.on_gap", .type = Type::kChoice, .fallback = R"("event")", .what = "what a client gets if it may have missed events", .choices = "event|close", .sources = Option::kChannel},
    {.key = "route.*.on_unavailable", .type = Type::kChoice, .fallback = R"("auto")", .what = "what a client gets while it cannot be served", .choices = "status|sse|auto", .sources = Option::kStreams},
    {.key = "route.*.error_body", .type = Type::kProse, .fallback = R"('{"detail":${message}}')", .what = "the body of an error, a JSON template"},
    {.key = "route.*.not_found", .type = Type::kProse, .fallback = R"("Job not found")", .what = "the sentence of a 404"},
    {.key = "route.*.page_default", .type = Type::kInteger, .fallback = "100", .what = "the lines of a page if the request sets no limit", .min = 1, .max = 10000, .sources = Option::kPages},
    {.key = "route.*.page_max", .type = Type::kInteger, .fallback = "500", .what = "the highest limit that a request may set", .min = 1, .max = 10000, .sources = Option::kPages},
    {.key = "route.*.page_bytes", .type = Type::kInteger, .fallback = "8388608", .what = "the bytes after which a page ends before its limit", .min = 1024, .max = kGigabyte, .sources = Option::kPages},
};
// clang-format on

// "hello" for "hello[3]".
std::string_view without_index(std::string_view name) {
  return name.substr(0, name.find('['));
}

bool matches(std::string_view pattern, std::string_view name) {
  if (pattern == "*") return name.find('[') == std::string_view::npos;
  return without_index(pattern) == without_index(name) && pattern.ends_with(']') == name.ends_with(']');
}

struct SplitOption {
  const Option* option;
  std::vector<std::string_view> parts;  // the names in its key
};

// All options.  Their keys are split only once, because every read of a value searches the options.
const std::vector<SplitOption>& split_options() {
  static const std::vector<SplitOption> all = [] {
    std::vector<SplitOption> made;
    for (const Option& option : kOptions)
      made.push_back({.option = &option, .parts = split(option.key, '.')});
    return made;
  }();
  return all;
}

// True if `key` matches the first names of `pattern`.
bool is_prefix(const std::vector<std::string_view>& pattern, const std::vector<std::string_view>& key) {
  return key.size() <= pattern.size() && std::equal(key.begin(), key.end(), pattern.begin(),
                                                    [](auto name, auto part) { return matches(part, name); });
}

// The least number of insertions, deletions, replacements and adjacent swaps that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> table(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        table[i][j] = i + j;
        continue;
      }
      table[i][j] = std::min(
          {table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        table[i][j] = std::min(table[i][j], table[i - 2][j - 2] + 1);
      }
    }
  }
  return table[a.size()][b.size()];
}

std::string plain_number(double number) {
  char buffer[32];
  const int size = std::snprintf(buffer, sizeof buffer, "%.12g", number);
  return {buffer, static_cast<std::size_t>(size)};
}

}  // namespace

std::string Option::rule() const {
  const std::string range = " from " + plain_number(min) + " to " + plain_number(max);
  switch (type) {
    case Type::kText:
      return "must be a text of one line";
    case Type::kProse:
      return "must be a text";
    case Type::kChoice:
      return "must be \"" + join(split(choices, '|'), "\", \"", "\" or \"") + '"';
    case Type::kTexts:
      return "must be a list of texts";
    case Type::kTextOrTexts:
      return "must be a text or a list of texts";
    case Type::kBoolean:
      return "must be true or false";
    case Type::kInteger:
      return "must be an integer" + range;
    case Type::kDuration:
      return "must be a number of " + std::string(key.ends_with("_ms") ? "milliseconds" : "seconds") + range;
    case Type::kScalar:
      return "must be a text, a number, true or false";
  }
  return {};
}

std::span<const Option> options() {
  return kOptions;
}

const Option* find_option(std::string_view key) {
  const auto names = split(key, '.');
  for (const SplitOption& candidate : split_options()) {
    if (candidate.parts.size() == names.size() && is_prefix(candidate.parts, names)) return candidate.option;
  }
  return nullptr;
}

Shape shape_of(std::string_view key) {
  const auto names = split(key, '.');
  const std::string element = std::string(key) + "[]";
  const auto element_names = split(element, '.');
  for (const auto& [option, parts] : split_options()) {
    if (is_prefix(parts, names)) return parts.size() == names.size() ? Shape::kValue : Shape::kTable;
    if (is_prefix(parts, element_names)) return Shape::kTableList;
  }
  return Shape::kUnknown;
}

std::string_view broken_name_rule(std::string_view key) {
  const auto names = split(key, '.');
  const bool is_field = names.size() == 4 && names[0] == "record" && names[2] == "fields";
  const bool is_table =
      names.size() == 2 && (names[0] == "provider" || names[0] == "record" || names[0] == "route");
  const std::string_view name = names.back();
  if (is_field && (name.size() > 40 || !consists_of(name, "_")))
    return "a field's name is 1 to 40 letters, digits and _";
  if (is_table && (name.size() > 40 || !consists_of(name, "-") || ascii_lower(name) != name))
    return "a name is 1 to 40 lower-case letters, digits and -";
  return {};
}

std::string suggestion_for(std::string_view key) {
  const auto names = split(key, '.');
  const std::vector<std::string_view> parents(names.begin(), names.end() - 1);
  std::string_view nearest;
  std::size_t least = std::max<std::size_t>(2, names.back().size() / 3) + 1;
  for (const Option& option : kOptions) {
    const auto parts = split(option.key, '.');
    if (parts.size() < names.size() || !is_prefix(parts, parents)) continue;
    const std::string_view candidate = without_index(parts[names.size() - 1]);
    const std::size_t steps = edit_distance(without_index(names.back()), candidate);
    if (candidate == "*" || steps >= least) continue;
    nearest = candidate;
    least = steps;
  }
  return std::string(nearest);
}

}  // namespace tailgate
