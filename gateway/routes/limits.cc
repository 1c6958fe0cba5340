#include "gateway/routes/limits.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

// IPv4 addresses are mapped to IPv6, so that one comparison serves both.
using Address = std::array<unsigned char, 16>;

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

bool is_in(const Address& address, std::string_view block) {
  const std::size_t slash = block.find('/');
  const auto network = parse_address(block.substr(0, slash));
  if (!network) return false;
  unsigned bits = 128;
  if (slash != std::string_view::npos) {
    const std::string_view text = block.substr(slash + 1);
    if (std::from_chars(text.data(), text.data() + text.size(), bits).ec != std::errc()) return false;
    if (block.substr(0, slash).find(':') == std::string_view::npos) bits += 96;
  }
  for (unsigned i = 0; i < 16 && bits > 0; ++i) {
    const unsigned here = std::min(bits, 8U);
    const auto mask = static_cast<unsigned char>(0xff00U >> here);
    if ((address[i] & mask) != ((*network)[i] & mask)) return false;
    bits -= here;
  }
  return true;
}

void count_down(std::unordered_map<std::string, std::uint64_t>& counts,
                std::pair<const std::string, std::uint64_t>* count) {
  if (count != nullptr && --count->second == 0) counts.erase(counts.find(count->first));
}

bool is_below_bound(const std::unordered_map<std::string, std::uint64_t>& counts, const std::string& name,
                    std::uint64_t bound) {
  if (bound == 0 || name.empty()) return true;
  const auto found = counts.find(name);
  return found == counts.end() || found->second < bound;
}

}  // namespace

StreamLimits::Ticket::Ticket(Ticket&& other) noexcept {
  *this = std::move(other);
}

StreamLimits::Ticket& StreamLimits::Ticket::operator=(Ticket&& other) noexcept {
  std::swap(limits_, other.limits_);
  std::swap(user_, other.user_);
  std::swap(address_, other.address_);
  return *this;
}

StreamLimits::Ticket::~Ticket() {
  if (limits_ == nullptr) return;
  --limits_->streams_;
  count_down(limits_->users_, user_);
  count_down(limits_->addresses_, address_);
}

StreamLimits::Ticket StreamLimits::take(const Bounds& bounds, std::string_view user, std::string_view address,
                                        bool& taken) {
  Ticket ticket;
  // Without a limit for each user or address, their names are not stored: most configurations have none.
  const std::string user_name(bounds.per_user == 0 ? std::string_view() : user);
  const std::string address_name(bounds.per_address == 0 ? std::string_view() : address);
  taken = (bounds.streams == 0 || streams_ < bounds.streams) &&
          is_below_bound(users_, user_name, bounds.per_user) &&
          is_below_bound(addresses_, address_name, bounds.per_address);
  if (!taken) return ticket;
  ticket.limits_ = this;
  ++streams_;
  const auto count_up = [](Counts& counts, const std::string& name) {
    Counts::value_type& count = *counts.try_emplace(name).first;
    ++count.second;
    return &count;
  };
  if (!user_name.empty()) ticket.user_ = count_up(users_, user_name);
  if (!address_name.empty()) ticket.address_ = count_up(addresses_, address_name);
  return ticket;
}

std::string client_address(std::string_view forwarded_for, const std::vector<std::string>& trusted) {
  std::string best;
  auto hops = split(forwarded_for, ',');
  for (auto hop = hops.rbegin(); hop != hops.rend(); ++hop) {
    const std::string_view text = trim(*hop);
    const auto address = parse_address(text);
    if (!address) break;
    best = text;
    const bool is_trusted = std::any_of(trusted.begin(), trusted.end(),
                                        [&](const std::string& block) { return is_in(*address, block); });
    if (!is_trusted) break;
  }
  return best;
}

}  // namespace tailgate
