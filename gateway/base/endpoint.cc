#include "gateway/base/endpoint.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <utility>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::size_t kMaxSocketPath = 107;  // sockaddr_un::sun_path, less its NUL

bool is_host(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("-._:%").find(c) != std::string_view::npos;
  });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc() || stop != end || port == 0) return std::nullopt;
  return port;
}

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
  if (!is_host(endpoint.host)) return Error{"names no host"};
  if (rest.empty()) return endpoint;
  if (rest.find(':', 1) != std::string_view::npos)
    return Error{"an IPv6 address stands in brackets, as in \"[::1]:80\""};
  const auto port = parse_port(rest.substr(1));
  if (rest.front() != ':' || !port) return Error{"its port must be a number from 1 to 65535"};
  endpoint.port = *port;
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

}  // namespace tailgate
