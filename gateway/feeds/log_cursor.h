// LogCursor: the position of a reader in a log.  Detects whether entries after the position were lost.
//
// Pure.  A log is a Redis Stream: a list of entries with ascending ids.  Writers add entries at its end
// (XADD).  Redis may remove the oldest entries (XTRIM, MAXLEN), or a client may delete the log and begin it
// anew.  Redis reports none of this to a reader.  So a reader reads from its position *inclusively* and calls
// proves_no_gap(): while the entry that it delivered last still exists, no later entry was trimmed.  If that
// entry is gone, the reader fetches the log's tail (XINFO STREAM) and calls resolve_doubt(), which returns a
// gap unless the tail proves that nothing is lost.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "gateway/redis/entry_id.h"

namespace tailgate {

// The answer to XINFO STREAM.  For a log that does not exist, all fields keep their defaults.
struct LogTail {
  bool exists = false;
  EntryId last;                        // last-generated-id: the id of the newest entry ever, even if removed
  std::uint64_t length = 0;            // number of entries in the log
  EntryId first_entry;                 // the oldest entry, if length > 0
  std::optional<std::uint64_t> added;  // entries-added: number of entries ever added (since Redis 7.0)
  // max-deleted-entry-id (since Redis 7.0): the highest id that XDEL has deleted; 0-0: none.
  EntryId max_deleted{};
  // How many connections the link had lost before it read the tail.
  std::uint64_t connection = 0;
};

// Entries between `requested` and `first_available` may be lost.  A gap may be a false alarm.  The section
// "What Tailgate cannot do" in deploy/README.md lists the losses that no gap reports.
struct LogGap {
  EntryId requested;
  std::optional<EntryId> first_available;  // none: there is no entry
  // The log was deleted or replaced.  The reader begins to read the new log, even below `requested`.
  bool begins_anew = false;
};

class LogCursor {
 public:
  LogCursor() = default;

  // A cursor after all entries that are in the log now.
  static LogCursor at_tail(const LogTail& tail);
  // A cursor after `requested`, the last entry that a client has; 0-0 is the beginning of the log.  Sets
  // `gap` if entries after `requested` may be lost.
  static LogCursor after(EntryId requested, const LogTail& tail, std::optional<LogGap>& gap);

  EntryId position() const { return position_; }
  // The newest entry that the log is known to have had.
  EntryId newest_known() const { return std::max(position_, anchor_.value_or(EntryId{})); }

  // `first_read`: the first entry that an inclusive read from position() found; none if there is no entry.
  // `connection`: see LogTail.  If true, deliver the entries.  If false, keep the entries, fetch the tail and
  // call resolve_doubt().
  bool proves_no_gap(std::optional<EntryId> first_read, std::uint64_t connection);
  // The reader has delivered `count` (> 0) new entries, the newest of which is `last`.
  void advance(EntryId last, std::uint64_t count);
  // Precondition: `tail` was fetched after a read that did not find the entry at position().  If there is no
  // gap, the kept entries are complete: deliver them.  If there is a gap, drop the kept entries and read
  // again from position().
  std::optional<LogGap> resolve_doubt(const LogTail& tail);

 private:
  std::optional<LogGap> compare(const LogTail& tail);
  bool awaits_anchor() const { return newest_known() > position_; }

  EntryId position_;
  // The log's oldest entry when compare() last found that all entries are later than the position.  Until the
  // anchor is delivered, an inclusive read cannot begin with the entry at the position.  A read that begins
  // with the anchor proves that no entry after the anchor was trimmed.  If the anchor is gone before it is
  // delivered, it is lost.
  std::optional<EntryId> anchor_;
  // The number of entries that were added to the log before the next one that the reader will deliver.  It is
  // compared with what XINFO STREAM says (entries-added minus length).  None: unknown.
  std::optional<std::uint64_t> added_;
  // The connection on which `added_` was last known to be true of the log.  While a connection is lost, a
  // failover may replace the log by one that lacks its newest entries.  Then a count of the old log says
  // nothing about the new one: the counts may agree although the entries differ.
  std::uint64_t connection_ = 0;
  bool is_known_missing_ = false;  // a gap was reported because the log lacks the entry at position_
};

}  // namespace tailgate
