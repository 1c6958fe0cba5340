// EntryId: the id of one entry of a log (a Redis Stream), "<ms>-<seq>".
//
// Pure.  A value.  Comparing two ids gives the order of their entries in the log.
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

  // Accepts only the complete form: two decimal numbers of 64 bits, without signs or spaces.  To Redis an
  // incomplete "6" means 6-0 at the start of a range, but 6-18446744073709551615 at the end.
  static std::optional<EntryId> parse(std::string_view text);
  std::string text() const;

  // True for "0-0", the position before the first entry.  No entry can have this id.
  bool is_zero() const { return ms == 0 && seq == 0; }
};

}  // namespace tailgate
