// LogCursor: how far a reader of a log has come, and whether anything was lost on the way.
//
// Pure.  Knows what XRANGE and XINFO STREAM answer; sends nothing.  A log that is trimmed,
// deleted or replaced behind a reader's back does not say so (XTRIM leaves max-deleted-entry-id at 0-0,
// and after DEL + XADD a read from an old id looks normal).  So a reader reads *inclusively* from its
// own position: while the entry it delivered last is still there, nothing behind it was trimmed, for
// trimming takes the oldest first.  When it is not there, LogTail decides; in doubt there is a gap.
#pragma once

#include <cstdint>
#include <optional>

#include "gateway/redis/entry_id.h"

namespace tailgate {

// What XINFO STREAM says; of a log that does not exist, nothing but zeros.
struct LogTail {
  bool exists = false;
  EntryId last;                        // last-generated-id
  std::uint64_t length = 0;            // entries
  EntryId first_entry;                 // if length > 0
  EntryId last_entry;                  // if length > 0
  std::optional<std::uint64_t> added;  // entries-added, Redis 7.0 and later
};

// A hole in what a client gets.  It may be a false alarm, it is never left out.
struct LogGap {
  EntryId requested;
  std::optional<EntryId> first_available;
};

class LogCursor {
 public:
  LogCursor() = default;

  // Behind everything that is there now.
  static LogCursor at_tail(const LogTail& tail);
  // Behind `requested`, which a client names as the last it has; 0-0 is the beginning.  A gap if what
  // follows is not all there.
  static LogCursor behind(EntryId requested, const LogTail& tail, std::optional<LogGap>& gap);

  EntryId position() const { return position_; }

  enum class ReadCheck {
    kSound,  // deliver the entries
    kDoubt,  // keep them; ask for the tail and call resolve_doubt()
  };
  // What an inclusive read from position() brought: its first entry's id, if any.
  ReadCheck check(std::optional<EntryId> first_read) const;
  // After a kSound check: the reader has delivered `count` (> 0) entries, up to `last`.
  void advance(EntryId last, std::uint64_t count);
  // After a kDoubt, with a tail asked for after that read.  No gap: the entries are sound, deliver them
  // (what was there later was there then).  A gap: drop them and read again from position().
  std::optional<LogGap> resolve_doubt(const LogTail& tail);

 private:
  enum class Anchor {
    kNone,   // nothing is known to stand at or behind the position: a read of nothing proves nothing
    kEntry,  // the entry at the position was there
    kNext,   // the next entry is next_
  };
  EntryId position_;
  Anchor anchor_ = Anchor::kNone;
  EntryId next_;
  std::optional<std::uint64_t> added_;  // entries-added when the position's entry was the newest
};

}  // namespace tailgate
