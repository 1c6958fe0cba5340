#include "gateway/redis/rule.h"

#include <utility>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::uint16_t kRedisPort = 6379;

// Parameters in the query of a Redis URL that only other Redis clients use.  They are ignored.
constexpr std::string_view kForeignParameters[] = {
    "ssl_cert_reqs",   "ssl_ca_certs",          "ssl_check_hostname",     "family",
    "protocol",        "socket_timeout",        "socket_connect_timeout", "socket_keepalive",
    "max_connections", "health_check_interval", "decode_responses"};

Status read_database(RedisRule& rule, std::string_view text) {
  const auto number = parse_number<std::uint16_t>(text);
  if (!number) return Error{"its database must be a number from 0 to 65535"};
  rule.database = *number;
  return {};
}

// "user", "user:password" or ":password", percent-encoded.
Status read_credentials(RedisRule& rule, std::string_view text) {
  const std::size_t colon = text.find(':');
  auto user = percent_decode(text.substr(0, colon));
  auto password = colon == std::string_view::npos ? std::string() : percent_decode(text.substr(colon + 1));
  if (!user || !password)
    return Error{"its user or password has a \"%\" that is not percent-encoding (write %25)"};
  if ((!user->empty() && !rule.user.empty()) || (!password->empty() && !rule.password.empty()))
    return Error{"it names its user or its password twice: before the \"@\" and in its query"};
  if (!user->empty()) rule.user = std::move(*user);
  if (!password->empty()) rule.password = std::move(*password);
  return {};
}

// Sets `has_database` if the query names a database.
Status read_parameters(RedisRule& rule, bool& has_database, std::string_view text) {
  const auto query = Query::parse(text);
  if (!query) return Error{"its query has a \"%\" that is not percent-encoding"};
  for (const auto& [name, value] : query->all()) {
    if (query->repeats(name)) return Error{"its query has the same name twice"};
    if (name == "db") {
      has_database = true;
      if (Status status = read_database(rule, value); !status) return status;
    } else if (name == "password") {
      rule.password = value;
    } else if (name == "username") {
      rule.user = value;
    } else if (!contains(kForeignParameters, name)) {
      return Error{"its query may hold only db, username and password"};
    }
  }
  return {};
}

// The part after "redis://" and the credentials: an address and perhaps "/<database>".
Status read_address(RedisRule& rule, bool has_database, std::string_view text) {
  const std::size_t slash = text.find('/');
  Result<Endpoint> endpoint = tcp_endpoint(text.substr(0, slash));
  if (!endpoint) return Error{endpoint.error()};
  rule.endpoint = std::move(*endpoint);
  if (rule.endpoint.port == 0) rule.endpoint.port = kRedisPort;
  if (slash == std::string_view::npos || slash + 1 == text.size()) return {};
  if (has_database) return Error{"it names its database twice: in its path and in its query"};
  return read_database(rule, text.substr(slash + 1));
}

}  // namespace

Result<RedisRule> parse_redis_url(std::string_view url, const std::string& leg) {
  RedisRule rule;
  bool has_database = false;
  std::string_view rest = url;
  const auto take = [&rest](std::string_view prefix) {
    if (!rest.starts_with(prefix)) return false;
    rest.remove_prefix(prefix.size());
    return true;
  };
  const bool is_tls = take("rediss://");
  const bool is_tcp = is_tls || take("redis://");
  if (!is_tcp && !take("unix:")) return Error{"must begin with redis://, rediss:// or unix:"};
  if (is_tls && leg.empty()) {
    return Error{"rediss:// needs redis.tls_leg, the socket of the nginx leg that speaks TLS to Redis"};
  }
  if (const std::size_t mark = rest.find('?'); mark != std::string_view::npos) {
    Status status = read_parameters(rule, has_database, rest.substr(mark + 1));
    if (!status) return Error{status.error()};
    rest = rest.substr(0, mark);
  }
  const bool has_authority = is_tcp || take("//");
  const std::size_t at = rest.rfind('@');
  if (has_authority && at != std::string_view::npos) {
    if (Status status = read_credentials(rule, rest.substr(0, at)); !status) return Error{status.error()};
    rest.remove_prefix(at + 1);
  }
  if (is_tcp) {
    if (Status status = read_address(rule, has_database, rest); !status) return Error{status.error()};
  }
  if (!is_tcp || is_tls) {
    if (is_tls) {
      rule.through_leg = true;
      rule.tls_server = std::move(rule.endpoint);
      rest = leg;
      take("unix:");
    }
    Result<Endpoint> endpoint = unix_endpoint(rest);
    if (!endpoint) return Error{endpoint.error()};
    rule.endpoint = std::move(*endpoint);
  }
  return rule;
}

}  // namespace tailgate
