// Endpoint: an address to listen on or to connect to, and its spelling in the configuration.
//
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/base/result.h"

namespace tailgate {

// A unix socket, or an address and a port.
struct Endpoint {
  std::string unix_path;  // if set, a unix socket's path; `host` and `port` are unused
  std::string host;       // an address to listen on, or a name or address to connect to
  std::uint16_t port = 0;

  bool operator==(const Endpoint&) const = default;
};

// "unix:/path" or "address:port" ("[::1]:80").
Result<Endpoint> parse_endpoint(std::string_view text);

// A unix socket at `path`.  The path must be absolute, at most 107 bytes long and without control characters.
Result<Endpoint> unix_endpoint(std::string_view path);

// The spelling that parse_endpoint() reads.
std::string text_of(const Endpoint& endpoint);

// "host:port", "host" or "[address]:port".  A text without a port gives port 0.
Result<Endpoint> tcp_endpoint(std::string_view text);

}  // namespace tailgate
