#include "gateway/routes/client_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

using Address = std::array<unsigned char, 16>;

constexpr unsigned kMappedBits = 96;  // the prefix ::ffff:0:0 of a mapped IPv4 address
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

bool is_port(std::string_view text) {
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
  Address mapped{};
  mapped[10] = mapped[11] = 0xff;
  const bool is_v4 = masked(address, kMappedBits) == mapped;
  const Address shown = is_v4 ? address : masked(address, ipv6_prefix);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_v4) {
    inet_ntop(AF_INET, shown.data() + 12, text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, shown.data(), text.data(), text.size());
  }
  return is_v4 || ipv6_prefix == 128 ? std::string(text.data())
                                     : text.data() + ('/' + std::to_string(ipv6_prefix));
}

// The position of the first `separator` from `at` on that is not inside a quoted string; npos if there is
// none.
std::size_t find_unquoted(std::string_view text, char separator, std::size_t at) {
  bool quoted = false;
  for (; at < text.size(); ++at) {
    if (quoted && text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[at] == separator) {
      return at;
    }
  }
  return std::string_view::npos;
}

std::vector<std::string_view> split_unquoted(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0;;) {
    const std::size_t end = find_unquoted(text, separator, at);
    parts.push_back(trim(text.substr(at, end - at)));
    if (end == std::string_view::npos) return parts;
    at = end + 1;
  }
}

// The hops of a Forwarded header: the values of its "for" parameters.  An element without one is skipped.
std::vector<std::string_view> forwarded_hops(std::string_view value) {
  constexpr std::string_view kName = "for=";
  std::vector<std::string_view> hops;
  for (const std::string_view element : split_unquoted(value, ',')) {
    for (const std::string_view pair : split_unquoted(element, ';')) {
      if (ascii_lower(pair.substr(0, kName.size())) != kName) continue;
      std::string_view hop = pair.substr(kName.size());
      if (hop.size() >= 2 && hop.front() == '"' && hop.back() == '"') hop = hop.substr(1, hop.size() - 2);
      hops.push_back(hop);
    }
  }
  return hops;
}

}  // namespace

std::optional<AddressBlock> AddressBlock::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view name = text.substr(0, slash);
  const auto network = parse_address(name);
  const unsigned most = name.find(':') == std::string_view::npos ? 32 : 128;
  const auto bits = slash == std::string_view::npos ? most : parse_number<unsigned>(text.substr(slash + 1));
  if (!network || !bits || *bits > most) return std::nullopt;
  return AddressBlock{.network = *network, .bits = *bits + 128 - most};
}

Result<std::string> client_address(std::string_view value, const ClientAddressRule& rule) {
  if (trim(value).empty()) return std::string();
  const bool is_forwarded = rule.header == ClientAddressRule::Header::kForwarded;
  const auto hops = is_forwarded ? forwarded_hops(value) : split(value, ',');
  std::string best;
  for (auto each = hops.rbegin(); each != hops.rend(); ++each) {
    const std::string_view hop = trim(*each);
    if (hop == "unix:") continue;  // nginx writes this for a proxy on a unix socket
    const auto address = parse_hop(hop);
    if (!address) {
      return Error{std::string(is_forwarded ? "Forwarded" : "X-Forwarded-For") + " holds \"" +
                   std::string(hop.substr(0, kLongestShown)) + "\", which is not an address"};
    }
    best = text_of(*address, rule.ipv6_prefix);
    if (std::ranges::none_of(rule.trusted_proxies,
                             [&](const AddressBlock& block) { return is_in(*address, block); }))
      break;
  }
  return best;
}

}  // namespace tailgate
