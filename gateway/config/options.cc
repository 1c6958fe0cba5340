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
    {.key = "listen.streams", .type = Type::kText, .fallback = R"("unix:/run/tailgate/streams.sock")", .what = "where nginx proxies streams and pages to"},
    {.key = "listen.auth", .type = Type::kText, .fallback = R"("unix:/run/tailgate/auth.sock")", .what = "where nginx asks who a caller is (auth_request)"},
    {.key = "listen.ops", .type = Type::kText, .fallback = R"("127.0.0.1:9180")", .what = "where /healthz, /readyz, /metrics and POST /drain are"},
    {.key = "listen.socket_mode", .type = Type::kText, .fallback = R"("0660")", .what = "permissions of the unix sockets, octal"},
    {.key = "listen.socket_group", .type = Type::kText, .fallback = R"("")", .what = "group of the unix sockets; empty: unchanged"},

    {.key = "identity.key_file", .type = Type::kText, .fallback = R"("/run/tailgate/identity.key")", .what = "the key that seals identities"},
    {.key = "identity.life_s", .type = Type::kDuration, .fallback = "300", .what = "how long a sealed identity is believed; longer than nginx's time-outs", .min = 60, .max = kDay_s},

    {.key = "redis.url", .type = Type::kText, .what = "where Redis is", .group = "url"},
    {.key = "redis.url_env", .type = Type::kText, .what = "the environment variable that holds the URL", .group = "url"},
    {.key = "redis.url_file", .type = Type::kText, .what = "the file that holds the URL", .group = "url"},
    {.key = "redis.tls_leg", .type = Type::kText, .fallback = R"("")", .what = "the socket of the nginx leg that speaks TLS to Redis"},
    {.key = "redis.wakeups", .type = Type::kChoice, .fallback = R"("auto")", .what = "how a log's growth is noticed", .choices = "auto|notifications|sweep"},
    {.key = "redis.connect_timeout_s", .type = Type::kDuration, .fallback = "2", .what = "how long a connection may take", .min = 0.05, .max = 60},
    {.key = "redis.probe_every_s", .type = Type::kDuration, .fallback = "3", .what = "how often an idle connection is probed", .min = 0.05, .max = 60},
    {.key = "redis.wait_s", .type = Type::kDuration, .fallback = "3", .what = "how long a new request waits for Redis before its 503", .min = 0.05, .max = 60},

    {.key = "cors.origins", .type = Type::kTexts, .fallback = "[]", .what = "the web origins that may read the answers"},
    {.key = "cors.allowed_headers", .type = Type::kTexts, .fallback = R"(["authorization", "content-type", "last-event-id", "x-session-id", "cache-control", "x-request-id"])", .what = "the headers that scripts of those origins may send"},

    {.key = "limits.streams", .type = Type::kInteger, .fallback = "0", .what = "open streams in all; 0: no limit", .max = 1e9},
    {.key = "limits.streams_per_user", .type = Type::kInteger, .fallback = "0", .what = "open streams of one user; 0: no limit", .max = 1e9},
    {.key = "limits.streams_per_address", .type = Type::kInteger, .fallback = "0", .what = "open streams of one client address; 0: no limit", .max = 1e9},
    {.key = "limits.memory_mb", .type = Type::kInteger, .fallback = "512", .what = "heap of the process in MiB; 0: no limit", .max = 1e6},
    {.key = "limits.trusted_proxies", .type = Type::kTexts, .fallback = "[]", .what = "proxies whose word about the client's address is taken"},

    {.key = "drain.settle_s", .type = Type::kDuration, .fallback = "5", .what = "how long everything is still served while readiness is already 503", .max = 3600},
    {.key = "drain.deadline_s", .type = Type::kDuration, .fallback = "25", .what = "when the process is gone, counted from the signal", .min = 0.1, .max = 3600},

    {.key = "provider.*.secret", .type = Type::kTextOrTexts, .what = "the shared secret itself", .group = "keys"},
    {.key = "provider.*.secret_env", .type = Type::kTextOrTexts, .what = "the environment variable that holds the shared secret", .group = "keys"},
    {.key = "provider.*.secret_file", .type = Type::kTextOrTexts, .what = "the file that holds the shared secret", .group = "keys"},
    {.key = "provider.*.jwks", .type = Type::kTextOrTexts, .what = "where the issuer's public keys are", .group = "keys"},
    {.key = "provider.*.algorithms", .type = Type::kTexts, .what = "the signature algorithms that are accepted"},
    {.key = "provider.*.issuer", .type = Type::kText, .what = "what `iss` must be", .group = "issuer"},
    {.key = "provider.*.clerk_publishable_key", .type = Type::kText, .what = "the Clerk key that names the issuer", .group = "issuer"},
    {.key = "provider.*.clerk_publishable_key_env", .type = Type::kText, .what = "the environment variable that holds the Clerk key", .group = "issuer"},
    {.key = "provider.*.audience", .type = Type::kTextOrTexts, .fallback = "[]", .what = "one of these must be in `aud`; empty: it is not looked at"},
    {.key = "provider.*.authorized_parties", .type = Type::kTexts, .fallback = "[]", .what = "`azp` must be one of these; empty: any"},
    {.key = "provider.*.required", .type = Type::kTexts, .fallback = R"(["exp"])", .what = "claims that a token must have"},
    {.key = "provider.*.subject", .type = Type::kText, .fallback = R"("sub")", .what = "the claim that names the user"},
    {.key = "provider.*.leeway_s", .type = Type::kDuration, .fallback = "5", .what = "how far clocks may differ", .max = 300},
    {.key = "provider.*.at_expiry", .type = Type::kChoice, .fallback = R"("keep")", .what = "what becomes of a stream when its token expires", .choices = "keep|end"},
    {.key = "provider.*.refresh_s", .type = Type::kDuration, .fallback = "300", .what = "how often the public keys are asked for again", .min = 1, .max = kDay_s},

    {.key = "record.*.kind", .type = Type::kChoice, .fallback = R"("hash")", .what = "where a job's record is", .choices = "hash|http"},
    {.key = "record.*.key", .type = Type::kText, .what = "the hash's key, with {id}"},
    {.key = "record.*.user", .type = Type::kText, .fallback = R"("")", .what = "the field of the owning user"},
    {.key = "record.*.session", .type = Type::kText, .fallback = R"("")", .what = "the field of the owning session"},
    {.key = "record.*.target", .type = Type::kText, .what = "where the application is: \"unix:<socket>\" or \"<host>:<port>\""},
    {.key = "record.*.path", .type = Type::kText, .what = "the path of the application's status endpoint, with {id}"},
    {.key = "record.*.forward", .type = Type::kTexts, .fallback = "[]", .what = "the caller's headers that are sent along"},
    {.key = "record.*.timeout_s", .type = Type::kDuration, .fallback = "3", .what = "how long the application may take", .min = 0.05, .max = 60},
    {.key = "record.*.status", .type = Type::kText, .fallback = R"("")", .what = "the field or member of the status"},
    {.key = "record.*.terminal", .type = Type::kTexts, .fallback = "[]", .what = "the statuses after which nothing comes"},
    {.key = "record.*.fields.*.from", .type = Type::kText, .what = "the field or member it is read from; by default its own name"},
    {.key = "record.*.fields.*.as", .type = Type::kChoice, .fallback = R"("text")", .what = "how it is read", .choices = "text|number|json"},
    {.key = "record.*.fields.*.absent", .type = Type::kScalar, .what = "what stands for it where it is absent; by default null"},

    {.key = "route.*.path", .type = Type::kText, .what = "the path it answers, with {id} where the job's id stands"},
    {.key = "route.*.trailing_slash", .type = Type::kBoolean, .fallback = "false", .what = "whether the path may also end in \"/\""},
    {.key = "route.*.source", .type = Type::kChoice, .what = "what it reads", .choices = "channel|log|pages"},
    {.key = "route.*.key", .type = Type::kText, .what = "the channel or the log, with {id}"},
    {.key = "route.*.record", .type = Type::kText, .what = "the record that says who owns a job and where it stands"},
    {.key = "route.*.record_grace_ms", .type = Type::kDuration, .fallback = "0", .what = "how long a record that is not there yet is looked for", .max = 2500},
    {.key = "route.*.who", .type = Type::kChoice, .what = "who may open it", .choices = "owner|anyone"},
    {.key = "route.*.auth", .type = Type::kChoice, .fallback = R"("gateway")", .what = "who verifies the caller", .choices = "gateway|application"},
    {.key = "route.*.providers", .type = Type::kTexts, .fallback = "[]", .what = "whose tokens are believed"},
    {.key = "route.*.credentials", .type = Type::kTexts, .fallback = "[]", .what = "where a caller may show who he is, in order"},
    {.key = "route.*.framing", .type = Type::kChoice, .what = "how events are written", .choices = "raw|named|entry", .sources = Option::kStreams},
    {.key = "route.*.event", .type = Type::kText, .fallback = R"("")", .what = "the name of every event", .sources = Option::kStreams},
    {.key = "route.*.id_from", .type = Type::kText, .fallback = R"("")", .what = "the member that becomes an event's id", .sources = Option::kChannel},
    {.key = "route.*.only_objects", .type = Type::kBoolean, .fallback = "false", .what = "whether payloads that are no JSON object are skipped", .sources = Option::kChannel},
    {.key = "route.*.name_from", .type = Type::kTexts, .fallback = "[]", .what = "the members that may name an event, the first that does", .sources = Option::kChannel},
    {.key = "route.*.data_from", .type = Type::kText, .fallback = R"("")", .what = "the member that is an event's data", .sources = Option::kChannel},
    {.key = "route.*.entry", .type = Type::kTexts, .fallback = "[]", .what = "the fields of a line, in order", .sources = Option::kLog | Option::kPages},
    {.key = "route.*.ends_on.field", .type = Type::kText, .fallback = R"("")", .what = "the member whose value can end a stream", .sources = Option::kChannel},
    {.key = "route.*.ends_on.values", .type = Type::kTexts, .fallback = "[]", .what = "the values that do; by default the record's terminal statuses", .sources = Option::kChannel},
    {.key = "route.*.ends_on.events", .type = Type::kTexts, .fallback = "[]", .what = "the events that end a stream", .sources = Option::kChannel},
    {.key = "route.*.heartbeat.every_s", .type = Type::kDuration, .fallback = "15", .what = "how often it beats", .min = 0.05, .max = 3600, .sources = Option::kStreams},
    {.key = "route.*.heartbeat.when", .type = Type::kChoice, .fallback = R"("silent")", .what = "only after silence, or always", .choices = "silent|always", .sources = Option::kStreams},
    {.key = "route.*.heartbeat.comment", .type = Type::kProse, .what = "the heartbeat as a comment; \"heartbeat\" by default", .sources = Option::kStreams},
    {.key = "route.*.heartbeat.event", .type = Type::kText, .fallback = R"("")", .what = "the name of the heartbeat's event", .sources = Option::kStreams},
    {.key = "route.*.heartbeat.data", .type = Type::kProse, .what = "its data, JSON", .sources = Option::kStreams},
    {.key = "route.*.heartbeat.text", .type = Type::kProse, .what = "its data, plain text", .sources = Option::kStreams},
    {.key = "route.*.hello[].comment", .type = Type::kProse, .what = "a first message that is a comment", .sources = Option::kStreams},
    {.key = "route.*.hello[].event", .type = Type::kText, .fallback = R"("")", .what = "the name of a first message", .sources = Option::kStreams},
    {.key = "route.*.hello[].data", .type = Type::kProse, .what = "its data, JSON", .sources = Option::kStreams},
    {.key = "route.*.hello[].text", .type = Type::kProse, .what = "its data, plain text", .sources = Option::kStreams},
    {.key = "route.*.standing[].status", .type = Type::kTexts, .fallback = "[]", .what = "the statuses it is for; empty: all", .sources = Option::kStreams},
    {.key = "route.*.standing[].comment", .type = Type::kProse, .what = "where a running job stands, as a comment", .sources = Option::kStreams},
    {.key = "route.*.standing[].event", .type = Type::kText, .fallback = R"("")", .what = "the name of that message", .sources = Option::kStreams},
    {.key = "route.*.standing[].data", .type = Type::kProse, .what = "its data, JSON", .sources = Option::kStreams},
    {.key = "route.*.standing[].text", .type = Type::kProse, .what = "its data, plain text", .sources = Option::kStreams},
    {.key = "route.*.ending[].status", .type = Type::kTexts, .fallback = "[]", .what = "the statuses it is for; empty: all", .sources = Option::kStreams},
    {.key = "route.*.ending[].event", .type = Type::kText, .fallback = R"("")", .what = "the name of the last message of a job that has ended", .sources = Option::kStreams},
    {.key = "route.*.ending[].data", .type = Type::kProse, .what = "its data, JSON", .sources = Option::kStreams},
    {.key = "route.*.ending[].text", .type = Type::kProse, .what = "its data, plain text", .sources = Option::kStreams},
    {.key = "route.*.retry_ms", .type = Type::kDuration, .fallback = "3000", .what = "after how long a browser comes back", .min = 1, .max = 600000, .sources = Option::kStreams},
    {.key = "route.*.max_age_s", .type = Type::kDuration, .fallback = "0", .what = "how long a stream may live; 0: for ever", .max = 30 * kDay_s, .sources = Option::kStreams},
    {.key = "route.*.age_notice.before_s", .type = Type::kDuration, .fallback = "10", .what = "how long before that end the notice is sent", .min = 0.01, .max = 3600, .sources = Option::kStreams},
    {.key = "route.*.age_notice.comment", .type = Type::kProse, .what = "the notice as a comment", .sources = Option::kStreams},
    {.key = "route.*.age_notice.event", .type = Type::kText, .fallback = R"("")", .what = "the name of the notice's event", .sources = Option::kStreams},
    {.key = "route.*.age_notice.data", .type = Type::kProse, .what = "its data, JSON", .sources = Option::kStreams},
    {.key = "route.*.age_notice.text", .type = Type::kProse, .what = "its data, plain text", .sources = Option::kStreams},
    {.key = "route.*.send_timeout_s", .type = Type::kDuration, .what = "how long a client may accept no byte; by default 30, 600 for logs", .min = 0.1, .max = kDay_s, .sources = Option::kStreams},
    {.key = "route.*.backlog_bytes", .type = Type::kInteger, .what = "how much is held for a slow client; by default 4194304, 262144 for logs", .min = 1024, .max = kGigabyte, .sources = Option::kStreams},
    {.key = "route.*.on_gap", .type = Type::kChoice, .fallback = R"("event")", .what = "what tells a client that events may have been missed", .choices = "event|close", .sources = Option::kChannel},
    {.key = "route.*.on_unavailable", .type = Type::kChoice, .fallback = R"("auto")", .what = "what a client gets while it cannot be served", .choices = "status|sse|auto", .sources = Option::kStreams},
    {.key = "route.*.error_body", .type = Type::kProse, .fallback = R"('{"detail":${message}}')", .what = "the JSON of an error"},
    {.key = "route.*.not_found", .type = Type::kProse, .fallback = R"("Job not found")", .what = "the sentence of a 404"},
    {.key = "route.*.page_default", .type = Type::kInteger, .fallback = "100", .what = "lines of a page that names no limit", .min = 1, .max = 10000, .sources = Option::kPages},
    {.key = "route.*.page_max", .type = Type::kInteger, .fallback = "500", .what = "the highest limit", .min = 1, .max = 10000, .sources = Option::kPages},
    {.key = "route.*.page_bytes", .type = Type::kInteger, .fallback = "8388608", .what = "where a page stops whatever its limit", .min = 1024, .max = kGigabyte, .sources = Option::kPages},
};
// clang-format on

bool is_name(std::string_view text, bool of_field) {
  return !text.empty() && text.size() <= 40 && std::all_of(text.begin(), text.end(), [of_field](char c) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) return true;
    return of_field ? c == '_' || (c >= 'A' && c <= 'Z') : c == '-';
  });
}

// "hello[3]" as "hello[]".
std::string_view without_place(std::string_view component) {
  return component.substr(0, component.find('['));
}

bool matches(std::string_view pattern, std::string_view component) {
  if (pattern == "*") return component.find('[') == std::string_view::npos;
  return without_place(pattern) == without_place(component) &&
         pattern.ends_with(']') == component.ends_with(']');
}

// Do the components of `key` match the first ones of `pattern`?
bool begins(const std::vector<std::string_view>& pattern, const std::vector<std::string_view>& key) {
  return key.size() <= pattern.size() && std::equal(key.begin(), key.end(), pattern.begin(),
                                                    [](auto name, auto part) { return matches(part, name); });
}

// How many insertions, deletions, replacements and swaps of neighbours lead from `a` to `b`.
std::size_t distance(std::string_view a, std::string_view b) {
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
    case Type::kChoice: {
      std::string rule = "must be ";
      const auto parts = split(choices, '|');
      for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i > 0) rule += i + 1 < parts.size() ? ", " : " or ";
        rule += '"' + std::string(parts[i]) + '"';
      }
      return rule;
    }
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
  for (const Option& option : kOptions) {
    const auto parts = split(option.key, '.');
    if (parts.size() == names.size() && begins(parts, names)) return &option;
  }
  return nullptr;
}

Shape shape_of(std::string_view key) {
  auto names = split(key, '.');
  const bool is_element = key.ends_with(']');
  for (const Option& option : kOptions) {
    const auto parts = split(option.key, '.');
    if (begins(parts, names)) return parts.size() == names.size() ? Shape::kValue : Shape::kTable;
    if (is_element || names.size() >= parts.size() || !parts[names.size() - 1].ends_with("[]")) continue;
    const std::string element = std::string(names.back()) + "[]";
    const std::string_view list = names.back();
    names.back() = element;
    const bool is_list = begins(parts, names);
    names.back() = list;
    if (is_list) return Shape::kTableList;
  }
  return Shape::kUnknown;
}

std::string_view broken_name_rule(std::string_view key) {
  const auto names = split(key, '.');
  const bool of_field = names.size() == 4 && names[0] == "record" && names[2] == "fields";
  const bool of_table =
      names.size() == 2 && (names[0] == "provider" || names[0] == "record" || names[0] == "route");
  if (of_field && !is_name(names.back(), true)) return "a field's name is 1 to 40 letters, digits and _";
  if (of_table && !is_name(names.back(), false)) return "a name is 1 to 40 lower-case letters, digits and -";
  return {};
}

std::string suggestion_for(std::string_view key) {
  const auto names = split(key, '.');
  const std::vector<std::string_view> parents(names.begin(), names.end() - 1);
  std::string_view nearest;
  std::size_t least = std::max<std::size_t>(2, names.back().size() / 3) + 1;
  for (const Option& option : kOptions) {
    const auto parts = split(option.key, '.');
    if (parts.size() < names.size() || !begins(parts, parents)) continue;
    const std::string_view candidate = without_place(parts[names.size() - 1]);
    const std::size_t steps = distance(without_place(names.back()), candidate);
    if (candidate == "*" || steps >= least) continue;
    nearest = candidate;
    least = steps;
  }
  return std::string(nearest);
}

}  // namespace tailgate
