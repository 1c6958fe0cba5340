#include "gateway/redis/entry_id.h"

#include "gateway/text/text.h"

namespace tailgate {

std::optional<EntryId> EntryId::parse(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto ms = parse_number<std::uint64_t>(text.substr(0, dash));
  const auto seq = parse_number<std::uint64_t>(text.substr(dash + 1));
  if (!ms || !seq) return std::nullopt;
  return EntryId{*ms, *seq};
}

std::string EntryId::text() const {
  return std::to_string(ms) + '-' + std::to_string(seq);
}

}  // namespace tailgate
