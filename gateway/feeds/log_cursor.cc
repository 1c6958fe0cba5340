#include "gateway/feeds/log_cursor.h"

namespace tailgate {

LogCursor LogCursor::at_tail(const LogTail& tail) {
  LogCursor cursor;
  cursor.position_ = tail.last;
  cursor.anchor_ = tail.length > 0 && tail.last_entry == tail.last ? Anchor::kEntry : Anchor::kNone;
  cursor.added_ = tail.exists ? tail.added : 0;
  return cursor;
}

LogCursor LogCursor::behind(EntryId requested, const LogTail& tail, std::optional<LogGap>& gap) {
  LogCursor cursor;
  cursor.position_ = requested;
  // From the beginning of a log that does not exist yet: nothing can be lost.
  if (requested.is_zero()) cursor.added_ = 0;
  if (requested.is_zero() && !tail.exists) return cursor;
  gap = cursor.resolve_doubt(tail);
  return cursor;
}

LogCursor::ReadCheck LogCursor::check(std::optional<EntryId> first_read) const {
  if (first_read == position_) return ReadCheck::kSound;
  switch (anchor_) {
    case Anchor::kNone:
      return first_read || !position_.is_zero() ? ReadCheck::kDoubt : ReadCheck::kSound;
    case Anchor::kEntry:
      return ReadCheck::kDoubt;
    case Anchor::kNext:
      return first_read == next_ ? ReadCheck::kSound : ReadCheck::kDoubt;
  }
  return ReadCheck::kDoubt;
}

void LogCursor::advance(EntryId last, std::uint64_t count) {
  position_ = last;
  anchor_ = Anchor::kEntry;
  if (added_) *added_ += count;
}

std::optional<LogGap> LogCursor::resolve_doubt(const LogTail& tail) {
  const EntryId requested = position_;
  const std::optional<EntryId> first =
      tail.length > 0 ? std::optional<EntryId>(tail.first_entry) : std::nullopt;

  // The log was deleted, or replaced by another one whose ids are still below the position: all its entries
  // are new.
  if (!tail.exists || tail.last < position_) {
    const bool had_something = !position_.is_zero();
    position_ = {};
    anchor_ = first ? Anchor::kNext : Anchor::kNone;
    if (first) next_ = *first;
    added_ = tail.exists ? (tail.added ? std::optional(*tail.added - tail.length) : std::nullopt) : 0;
    if (!had_something) return std::nullopt;
    return LogGap{requested, first};
  }

  // All entries lie behind the position.  Have any others behind the position been removed?  `before` is the
  // number of entries that came before the first one: none are lost if the reader has had exactly that many.
  if (!first || *first > position_) {
    const std::optional<std::uint64_t> before =
        tail.added ? std::optional(*tail.added - tail.length) : std::nullopt;
    bool lost = true;
    if (added_ && before) {
      lost = *before != *added_;
    } else if (!first) {
      lost = tail.last != position_;
    } else if (position_.is_zero()) {
      lost = false;  // Redis before 7.0 does not count: from the beginning means from the first entry that is
                     // left
    }
    if (first) {
      anchor_ = Anchor::kNext;
      next_ = *first;
      added_ = before;
    } else {
      position_ = tail.last;
      anchor_ = Anchor::kNone;
      added_ = tail.added;
    }
    if (!lost) return std::nullopt;
    return LogGap{requested, first};
  }

  // The log has entries before the position, so nothing behind it was trimmed: only the entry at the position
  // was deleted (XDEL).
  anchor_ = Anchor::kNone;
  if (tail.last == position_) {
    added_ = tail.added;
    if (tail.last_entry == position_) anchor_ = Anchor::kEntry;
  }
  return std::nullopt;
}

}  // namespace tailgate
