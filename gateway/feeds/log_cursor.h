// LogCursor: the position of a reader in a log, and the judgement whether entries were lost behind it.
//
// Pure.  A log is a Redis Stream: a list of entries with ascending ids.  Writers add entries at its end
// (XADD), and Redis may remove old ones at its beginning (XTRIM, MAXLEN), or the whole log may be deleted and
// begun anew.  Redis does not report any of that to a reader.  So a reader reads from its position
// *inclusively* and calls proves_no_gap(): while the entry that it delivered last is still there, nothing
// behind it was removed.  If it is gone, the reader asks for the log's tail (XINFO STREAM) and calls
// resolve_doubt().  If the tail cannot prove that nothing is lost, it is a gap.
#pragma once

#include <cstdint>
#include <optional>

#include "gateway/redis/entry_id.h"

namespace tailgate {

// The answer to XINFO STREAM.  Of a log that does not exist all fields keep their defaults.
struct LogTail {
  bool exists = false;
  EntryId last;                        // last-generated-id: of the newest entry ever, even if it was removed
  std::uint64_t length = 0;            // number of entries in the log
  EntryId first_entry;                 // the oldest one, if length > 0
  EntryId last_entry;                  // the newest one, if length > 0
  std::optional<std::uint64_t> added;  // entries-added: number of entries ever added (since Redis 7.0)
};

// Entries between `requested` and `first_available` may be lost.  A gap may be a false alarm; it is never
// left out.
struct LogGap {
  EntryId requested;
  std::optional<EntryId> first_available;  // none: the log is empty
};

class LogCursor {
 public:
  LogCursor() = default;

  // Behind all entries that are in the log now.
  static LogCursor at_tail(const LogTail& tail);
  // Behind `requested`, the last entry that a client has; 0-0 is the beginning of the log.  Sets `gap` if
  // entries after `requested` may be lost.
  static LogCursor behind(EntryId requested, const LogTail& tail, std::optional<LogGap>& gap);

  EntryId position() const { return position_; }

  // Judges an inclusive read from position() by the id of its first entry, if there is one.  True: deliver
  // the entries.  False: keep them, ask for the tail and call resolve_doubt().
  bool proves_no_gap(std::optional<EntryId> first_read) const;
  // The reader has delivered `count` (> 0) new entries, the newest of which is `last`.
  void advance(EntryId last, std::uint64_t count);
  // Precondition: `tail` was asked for after the read.  No gap: deliver the entries that were kept; they were
  // complete, because they still are.  A gap: drop them and read again from position().
  std::optional<LogGap> resolve_doubt(const LogTail& tail);

 private:
  EntryId position_;
  // The entry with which an inclusive read must begin to prove that nothing is lost; none: it is unknown.
  std::optional<EntryId> anchor_;
  // The log's entries-added at the moment when the newest entry was the one at the position.
  std::optional<std::uint64_t> added_;
};

}  // namespace tailgate
