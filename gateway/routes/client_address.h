// ClientAddress: finds the address of a request's client in the header that the proxies in front write.
//
// Pure.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/result.h"

namespace tailgate {

// An address, or a block of addresses such as 10.0.0.0/8.
struct AddressBlock {
  std::array<unsigned char, 16> network{};  // an IPv4 address is mapped to IPv6
  unsigned bits = 128;

  // Nothing if `text` is malformed, or is a block of mapped IPv4 addresses that also holds other addresses.
  static std::optional<AddressBlock> parse(std::string_view text);
  bool operator==(const AddressBlock&) const = default;
};

struct ClientAddressRule {
  enum class Header { kXForwardedFor, kForwarded };
  Header header = Header::kXForwardedFor;
  std::vector<AddressBlock> trusted_proxies;
  unsigned ipv6_prefix = 64;  // IPv6 addresses that share this many bits are one client
};

// `value` is the header's value.  Returns its rightmost hop that is not a trusted proxy.  If all hops are
// trusted, the leftmost hop.  Ports and brackets are removed.  An IPv6 address becomes its block, such as
// "2001:db8::/64".  Empty if there is no hop.  Source: RFC 7239 for Forwarded.
//
// Reads from the right, because proxies append.  Fails if a hop that is read is not an address: the hops to
// its left may be invented by the client, and all hops to its right are trusted proxies.
Result<std::string> client_address(std::string_view value, const ClientAddressRule& rule);

}  // namespace tailgate
