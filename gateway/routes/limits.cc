#include "gateway/routes/limits.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

using Address = std::array<unsigned char, 16>;

// Maps an IPv4 address to IPv6, so that is_in() can compare both kinds of address.
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

bool is_in(const Address& address, const AddressBlock& block) {
  unsigned bits = block.bits;
  for (unsigned i = 0; i < 16 && bits > 0; ++i) {
    const unsigned here = std::min(bits, 8U);
    const auto mask = static_cast<unsigned char>(0xff00U >> here);
    if ((address[i] & mask) != (block.network[i] & mask)) return false;
    bits -= here;
  }
  return true;
}

}  // namespace

void StreamLimits::Release::operator()(StreamLimits* limits) const {
  const auto count_down = [](Counts& counts, Counts::value_type* count) {
    if (count != nullptr && --count->second == 0) counts.erase(counts.find(count->first));
  };
  --limits->streams_;
  count_down(limits->users_, user);
  count_down(limits->addresses_, address);
}

StreamLimits::Ticket StreamLimits::take(const Bounds& bounds, std::string_view user,
                                        std::string_view address) {
  // Counts users and addresses only if the configuration limits them.  Most configurations do not.
  if (bounds.per_user == 0) user = {};
  if (bounds.per_address == 0) address = {};
  const auto is_full = [](const Counts& counts, std::string_view name, std::uint64_t bound) {
    const auto found = counts.find(name);
    return found != counts.end() && found->second >= bound;
  };
  if ((bounds.streams > 0 && streams_ >= bounds.streams) || is_full(users_, user, bounds.per_user) ||
      is_full(addresses_, address, bounds.per_address)) {
    return {};
  }
  const auto count_up = [](Counts& counts, std::string_view name) -> Counts::value_type* {
    if (name.empty()) return nullptr;
    Counts::value_type& count = *counts.try_emplace(std::string(name)).first;
    ++count.second;
    return &count;
  };
  ++streams_;
  return Ticket(this, {.user = count_up(users_, user), .address = count_up(addresses_, address)});
}

std::optional<AddressBlock> AddressBlock::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view name = text.substr(0, slash);
  const auto network = parse_address(name);
  const unsigned most = name.find(':') == std::string_view::npos ? 32 : 128;
  const auto bits = slash == std::string_view::npos ? most : parse_number<unsigned>(text.substr(slash + 1));
  if (!network || !bits || *bits > most) return std::nullopt;
  return AddressBlock{.network = *network, .bits = *bits + 128 - most};
}

std::string client_address(std::string_view forwarded_for, const std::vector<AddressBlock>& trusted) {
  std::string best;
  auto hops = split(forwarded_for, ',');
  for (auto hop = hops.rbegin(); hop != hops.rend(); ++hop) {
    const std::string_view text = trim(*hop);
    const auto address = parse_address(text);
    if (!address) break;
    best = text;
    if (std::ranges::none_of(trusted, [&](const AddressBlock& block) { return is_in(*address, block); }))
      break;
  }
  return best;
}

}  // namespace tailgate
