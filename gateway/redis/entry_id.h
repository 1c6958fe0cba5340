// EntryId: the id of one entry of a log (a Redis Stream), "<ms>-<seq>".
//
// Pure.  A value; its order is the log's order.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tailgate {

struct EntryId {
  std::uint64_t ms = 0;
  std::uint64_t seq = 0;

  friend auto operator<=>(const EntryId&, const EntryId&) = default;

  // Only the complete form: two decimal numbers of 64 bits, without signs or spaces.  Redis would read
  // an incomplete one as "6-0" here and as "6-18446744073709551615" there.
  static std::optional<EntryId> parse(std::string_view text);
  std::string text() const;

  // Is it "0-0", which no entry can have: the place before the first one?
  bool is_zero() const { return ms == 0 && seq == 0; }
};

}  // namespace tailgate
