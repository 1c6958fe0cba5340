#include "gateway/routes/limits.h"

namespace tailgate {

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

}  // namespace tailgate
