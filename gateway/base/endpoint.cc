#include "gateway/base/endpoint.h"

#include <cstddef>
#include <utility>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::size_t kMaxSocketPath = 107;  // sockaddr_un::sun_path without NUL

}  // namespace

Result<Endpoint> unix_endpoint(std::string_view path) {
  if (!path.starts_with('/')) return Error{"the path of a unix socket must begin with \"/\""};
  if (path.size() > kMaxSocketPath) return Error{"the path of a unix socket must not exceed 107 bytes"};
  if (has_control(path)) return Error{"the path of a unix socket must not hold control characters"};
  return Endpoint{.unix_path = std::string(path), .host = {}, .port = 0};
}

Result<Endpoint> tcp_endpoint(std::string_view text) {
  Endpoint endpoint;
  std::string_view rest = text;
  if (rest.starts_with('[')) {
    const std::size_t close = rest.find(']');
    if (close == std::string_view::npos) return Error{"the \"[\" of an IPv6 address is not closed"};
    endpoint.host = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
  } else {
    endpoint.host = rest.substr(0, rest.find(':'));
    rest.remove_prefix(endpoint.host.size());
  }
  if (!consists_of(endpoint.host, "-._:%")) return Error{"names no host"};
  if (rest.empty()) return endpoint;
  if (rest.find(':', 1) != std::string_view::npos)
    return Error{"an IPv6 address stands in brackets, as in \"[::1]:80\""};
  endpoint.port = parse_number<std::uint16_t>(rest.substr(1)).value_or(0);
  if (rest.front() != ':' || endpoint.port == 0) return Error{"its port must be a number from 1 to 65535"};
  return endpoint;
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) return unix_endpoint(text.substr(kUnix.size()));
  if (text.find("://") != std::string_view::npos)
    return Error{"must be \"unix:/path\" or \"address:port\", without a scheme and \"//\""};
  Result<Endpoint> endpoint = tcp_endpoint(text);
  if (endpoint && endpoint->port == 0) return Error{"must be \"unix:/path\" or \"address:port\""};
  return endpoint;
}

std::string text_of(const Endpoint& endpoint) {
  if (!endpoint.unix_path.empty()) return "unix:" + endpoint.unix_path;
  const bool is_v6 = endpoint.host.find(':') != std::string::npos;
  return (is_v6 ? '[' + endpoint.host + ']' : endpoint.host) + ':' + std::to_string(endpoint.port);
}

}  // namespace tailgate
