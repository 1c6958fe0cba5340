#include "gateway/feeds/log_cursor.h"

#include <utility>

namespace tailgate {

LogCursor LogCursor::at_tail(const LogTail& tail) {
  LogCursor cursor;
  cursor.position_ = tail.last;
  cursor.added_ = tail.exists ? tail.added : 0;
  cursor.connection_ = tail.connection;
  return cursor;
}

LogCursor LogCursor::after(EntryId requested, const LogTail& tail, std::optional<LogGap>& gap) {
  LogCursor cursor;
  cursor.position_ = requested;
  // 0-0 is the position before the first entry of the log, so no entry was ever added before it.
  if (requested.is_zero()) cursor.added_ = 0;
  gap = cursor.compare(tail);
  return cursor;
}

bool LogCursor::proves_no_gap(std::optional<EntryId> first_read, std::uint64_t connection) {
  const bool is_proof = awaits_anchor() ? first_read == anchor_
                                        : first_read == position_ || (!first_read && position_.is_zero());
  // The log still has an entry that was known before, so `added_` still counts this log.
  if (is_proof) connection_ = connection;
  return is_proof;
}

void LogCursor::advance(EntryId last, std::uint64_t count) {
  position_ = last;
  is_known_missing_ = false;
  if (added_) *added_ += count;
}

std::optional<LogGap> LogCursor::resolve_doubt(const LogTail& tail) {
  const EntryId before = position_;
  if (const auto gap = compare(tail)) return gap;
  // An older entry exists, so the entry at the position was not trimmed.  If no entry this late was ever
  // deleted from the log (XDEL), the log never had the entry.  So it is another log, which may have entries
  // before the position that this reader has never read.  The position stays, because entries after it are
  // new in any case.
  const bool has_older = tail.length > 0 && tail.first_entry < before;
  if (!has_older || tail.max_deleted >= before || is_known_missing_) return std::nullopt;
  is_known_missing_ = true;
  return LogGap{.requested = before, .first_available = tail.first_entry};
}

// Finds the losses that the tail alone shows.
std::optional<LogGap> LogCursor::compare(const LogTail& tail) {
  const std::optional<EntryId> first = tail.length > 0 ? std::optional(tail.first_entry) : std::nullopt;
  LogGap gap{.requested = position_, .first_available = first};
  // The number of entries that were added before `first`.
  std::optional<std::uint64_t> before = tail.exists ? tail.added : 0;
  if (before) *before -= tail.length;
  if (std::exchange(connection_, tail.connection) != tail.connection) {
    is_known_missing_ = false;  // the log may have been replaced again
    // No entry was ever added before 0-0.
    if (!position_.is_zero()) added_.reset();
  }

  // The log was deleted, or replaced by another log whose ids are still below the position.  All entries of
  // the other log are new.
  if (!tail.exists || tail.last < position_) {
    const bool has_missed = !position_.is_zero() || awaits_anchor();
    position_ = {};
    anchor_ = first;
    added_ = before;
    gap.begins_anew = true;
    return has_missed ? std::optional(gap) : std::nullopt;
  }

  // All entries of the log are later than the position.  Entries between the position and `first` may have
  // been removed.  If so, the reader has got fewer entries than were added before `first`.
  if (!first || *first > position_) {
    // Without entries-added (Redis before 7.0), a reader at 0-0 begins with `first` and reports no gap.
    bool lost = first ? !position_.is_zero() : tail.last != position_;
    if (added_ && before) lost = *before != *added_;
    if (awaits_anchor() && first != anchor_) lost = true;
    if (!first) {
      position_ = tail.last;
      is_known_missing_ = false;
    }
    anchor_ = first;
    added_ = before;
    return lost ? std::optional(gap) : std::nullopt;
  }

  // The log had no entry at or before the position when the anchor was found, so it is another log.
  if (awaits_anchor()) {
    anchor_.reset();
    return gap;
  }

  // The log has an entry at or before the position, so no entry after the position was trimmed.
  if (tail.last == position_) added_ = tail.added;
  return std::nullopt;
}

}  // namespace tailgate
