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
  // From the beginning of a log that is not there yet: there is nothing to miss.
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

  // Deleted, or replaced by one that has not come as far: all of what is there is new.
  if (!tail.exists || tail.last < position_) {
    const bool had_something = !position_.is_zero();
    position_ = {};
    anchor_ = first ? Anchor::kNext : Anchor::kNone;
    if (first) next_ = *first;
    added_ = tail.exists ? (tail.added ? std::optional(*tail.added - tail.length) : std::nullopt) : 0;
    if (!had_something) return std::nullopt;
    return LogGap{requested, first};
  }

  // Everything that is there lies behind the position: is it everything that ever came behind it?
  if (!first || *first > position_) {
    const std::optional<std::uint64_t> before =
        tail.added ? std::optional(*tail.added - tail.length) : std::nullopt;
    bool lost = true;
    if (added_ && before) {
      lost = *before != *added_;
    } else if (!first) {
      lost = tail.last != position_;
    } else if (position_.is_zero()) {
      lost = false;  // an older Redis does not tell; "from the beginning" is of what there is
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

  // The log reaches from before the position to behind it: nothing was trimmed here, only the position's
  // own entry was deleted.
  anchor_ = Anchor::kNone;
  if (tail.last == position_) {
    added_ = tail.added;
    if (tail.last_entry == position_) anchor_ = Anchor::kEntry;
  }
  return std::nullopt;
}

}  // namespace tailgate
