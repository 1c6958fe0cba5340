#include "gateway/routes/client_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

using Address = std::array<unsigned char, 16>;

constexpr std::size_t kLongestShown = 100;

// Maps an IPv4 address to IPv6, so that one comparison serves both.
std::optional<Address> parse_address(std::string_view text) {
  const std::string copy(text);
  if (copy.find('\0') != std::string::npos) return std::nullopt;  // inet_pton() would ignore the rest
  Address address{};
  if (inet_pton(AF_INET6, copy.c_str(), address.data()) == 1) return address;
  in_addr v4{};
  if (inet_pton(AF_INET, copy.c_str(), &v4) != 1) return std::nullopt;
  address[10] = address[11] = 0xff;
  std::memcpy(address.data() + 12, &v4, 4);
  return address;
}

// The first 96 bits of an IPv6 address that ends in an IPv4 address: ::ffff:0:0/96 for a mapped address, and
// 64:ff9b::/96 for NAT64 (RFC 6052).
constexpr Address kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr Address kNat64{0, 0x64, 0xff, 0x9b};
constexpr unsigned kIpv4PrefixBits = 96;

// Keeps the first `bits` bits.
Address masked(const Address& address, unsigned bits) {
  Address result{};
  for (std::size_t i = 0; i < result.size() && bits > 0; ++i) {
    const unsigned here = std::min(bits, 8U);
    result[i] = static_cast<unsigned char>(address[i] & (0xff00U >> here));
    bits -= here;
  }
  return result;
}

bool is_in(const Address& address, const AddressBlock& block) {
  return masked(address, block.bits) == masked(block.network, block.bits);
}

// A number, or the "obfport" of RFC 7239.
bool is_port(std::string_view text) {
  if (text.starts_with('_')) return consists_of(text.substr(1), "._-");
  return parse_number<std::uint16_t>(text).has_value();
}

// A hop: an IPv4 or IPv6 address, or one of "v4:port", "[v6]" and "[v6]:port".
std::optional<Address> parse_hop(std::string_view hop) {
  if (hop.starts_with('[')) {
    const std::size_t end = hop.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view rest = hop.substr(end + 1);
    const std::string_view inner = hop.substr(1, end - 1);
    if (inner.find(':') == std::string_view::npos) return std::nullopt;
    if (!rest.empty() && !(rest.starts_with(':') && is_port(rest.substr(1)))) return std::nullopt;
    return parse_address(inner);
  }
  const std::size_t colon = hop.find(':');
  const bool has_port = colon != std::string_view::npos && hop.find(':', colon + 1) == std::string_view::npos;
  if (!has_port) return parse_address(hop);
  if (!is_port(hop.substr(colon + 1))) return std::nullopt;
  return parse_address(hop.substr(0, colon));
}

std::string text_of(const Address& address, unsigned ipv6_prefix) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const Address prefix = masked(address, kIpv4PrefixBits);
  if (prefix == kMapped || prefix == kNat64) {
    inet_ntop(AF_INET, address.data() + 12, text.data(), text.size());
    return text.data();
  }
  inet_ntop(AF_INET6, masked(address, ipv6_prefix).data(), text.data(), text.size());
  return ipv6_prefix == 128 ? std::string(text.data()) : text.data() + ('/' + std::to_string(ipv6_prefix));
}

// The position of the last `separator` that is not inside a quoted string; npos if there is none.  Reads from
// the right, because proxies append: a quote that a client leaves open must not hide the hop of a proxy.
std::size_t last_unquoted(std::string_view text, char separator) {
  bool quoted = false;
  for (std::size_t at = text.size(); at-- > 0;) {
    if (text[at] == '"') {
      std::size_t slashes = 0;
      while (slashes < at && text[at - slashes - 1] == '\\') ++slashes;
      if (!quoted || slashes % 2 == 0) quoted = !quoted;  // \" inside a quoted string does not end the string
    } else if (!quoted && text[at] == separator) {
      return at;
    }
  }
  return std::string_view::npos;
}

// Removes the last part of `list`, which begins after the separator at `at`, and returns it trimmed.  If `at`
// is npos, the last part is all of `list`.
std::string_view take_after(std::string_view& list, std::size_t at) {
  const bool is_only = at == std::string_view::npos;
  const std::string_view part = trim(is_only ? list : list.substr(at + 1));
  list = is_only ? std::string_view() : list.substr(0, at);
  return part;
}

// The value of the "for" parameter of one element of a Forwarded header, without quotes.  Nothing unless the
// element has exactly one such parameter.
std::optional<std::string_view> node_of(std::string_view element) {
  constexpr std::string_view kName = "for=";
  std::optional<std::string_view> node;
  while (!element.empty()) {
    const std::string_view pair = take_after(element, last_unquoted(element, ';'));
    if (ascii_lower(pair.substr(0, kName.size())) != kName) continue;
    if (node) return std::nullopt;
    node = pair.substr(kName.size());
  }
  if (node && node->size() >= 2 && node->front() == '"' && node->back() == '"')
    node = node->substr(1, node->size() - 2);
  return node;
}

// The address in one element of the header's list.
std::optional<Address> address_in(std::string_view element, bool is_forwarded) {
  const auto hop = is_forwarded ? node_of(element) : element;
  return hop ? parse_hop(*hop) : std::nullopt;
}

}  // namespace

std::optional<AddressBlock> AddressBlock::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view name = text.substr(0, slash);
  const auto network = parse_address(name);
  const unsigned most = name.find(':') == std::string_view::npos ? 32 : 128;
  const auto bits = slash == std::string_view::npos ? most : parse_number<unsigned>(text.substr(slash + 1));
  if (!network || !bits || *bits > most) return std::nullopt;
  // ::ffff:10.0.0.0/8 would be ::/8, which holds every IPv4 address.
  const bool is_mapped = most == 128 && masked(*network, kIpv4PrefixBits) == kMapped;
  if (is_mapped && *bits < kIpv4PrefixBits) return std::nullopt;
  return AddressBlock{.network = *network, .bits = *bits + 128 - most};
}

Result<std::string> client_address(std::string_view value, const ClientAddressRule& rule) {
  const bool is_forwarded = rule.header == ClientAddressRule::Header::kForwarded;
  std::optional<Address> best;
  while (!value.empty()) {
    // Quotes have a meaning only in Forwarded.
    const std::string_view element =
        take_after(value, is_forwarded ? last_unquoted(value, ',') : value.rfind(','));
    // Empty elements of a list are ignored (RFC 9110 section 5.6.1).  nginx writes "unix:" for a proxy on a
    // unix socket.
    if (element.empty() || element == "unix:") continue;
    const auto address = address_in(element, is_forwarded);
    if (!address) {
      return Error{std::string(is_forwarded ? "Forwarded" : "X-Forwarded-For") + " holds \"" +
                   std::string(element.substr(0, kLongestShown)) + "\", which names no address"};
    }
    best = address;
    if (std::ranges::none_of(rule.trusted_proxies,
                             [&](const AddressBlock& block) { return is_in(*address, block); }))
      break;
  }
  return best ? text_of(*best, rule.ipv6_prefix) : std::string();
}

}  // namespace tailgate
