#include "gateway/feeds/log_cursor.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

EntryId id(std::uint64_t ms) {
  return {ms, 0};
}

// The tail of a log with `length` entries from `first` to `last`.  `added` is entries-added.
LogTail log(std::uint64_t first, std::uint64_t last, std::uint64_t length, std::uint64_t added) {
  return {.exists = true, .last = id(last), .length = length, .first_entry = id(first), .added = added};
}

LogTail emptied(std::uint64_t last, std::uint64_t added) {
  return {.exists = true, .last = id(last), .length = 0, .first_entry = {}, .added = added};
}

LogCursor behind(std::uint64_t requested, const LogTail& tail, std::optional<LogGap>* gap = nullptr) {
  std::optional<LogGap> found;
  LogCursor cursor = LogCursor::after(id(requested), tail, found);
  if (gap != nullptr) *gap = found;
  return cursor;
}

TEST(LogCursor, AtTheTailHasThePositionOfTheNewestEntry) {
  const LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  EXPECT_EQ(cursor.position(), id(9));
}

TEST(LogCursor, ProvesNoGapIfAReadBeginsWithTheLastDeliveredEntry) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  EXPECT_TRUE(cursor.proves_no_gap(id(9), 0));
  cursor.advance(id(12), 3);
  EXPECT_TRUE(cursor.proves_no_gap(id(12), 0));
}

TEST(LogCursor, DoubtsAReadThatLacksTheLastDeliveredEntry) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  EXPECT_FALSE(cursor.proves_no_gap(id(10), 0));
  EXPECT_FALSE(cursor.proves_no_gap(std::nullopt, 0));
}

TEST(LogCursor, ReportsAGapWhenUndeliveredEntriesWereTrimmed) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  const auto gap = cursor.resolve_doubt(log(15, 20, 6, 20));  // 10 to 14 were added and trimmed
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->requested, id(9));
  EXPECT_EQ(gap->first_available, id(15));
  EXPECT_TRUE(cursor.proves_no_gap(id(15), 0));
  EXPECT_FALSE(cursor.proves_no_gap(id(16), 0));  // trimmed again before the next read
}

TEST(LogCursor, ReportsNoGapWhenOnlyDeliveredEntriesWereTrimmed) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  EXPECT_FALSE(cursor.resolve_doubt(log(10, 12, 3, 12)));
  EXPECT_EQ(cursor.position(), id(9));
}

TEST(LogCursor, ReportsNoGapAfterAResumeAtTheTailWhenOnlyDeliveredEntriesWereTrimmed) {
  LogCursor cursor = behind(9, log(1, 9, 9, 9));
  EXPECT_FALSE(cursor.resolve_doubt(log(10, 12, 3, 12)));
  EXPECT_TRUE(cursor.proves_no_gap(id(10), 0));
}

TEST(LogCursor, ReportsNoGapIfTheRequestedEntryIsTheOldestOne) {
  std::optional<LogGap> gap;
  LogCursor cursor = behind(9, log(9, 12, 4, 12), &gap);
  EXPECT_FALSE(gap);
  EXPECT_TRUE(cursor.proves_no_gap(id(9), 0));
}

TEST(LogCursor, ReportsAGapAfterAResumeBeforeTheTailWhenUndeliveredEntriesWereTrimmed) {
  LogCursor cursor = behind(5, log(1, 9, 9, 9));
  const auto gap = cursor.resolve_doubt(log(10, 12, 3, 12));  // 6 to 9 were not delivered
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->requested, id(5));
}

TEST(LogCursor, CountsTheEntriesOfALogThatReplacedAnother) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  EXPECT_TRUE(cursor.resolve_doubt(log(3, 5, 2, 2)));
  cursor.advance(id(5), 2);
  EXPECT_FALSE(cursor.resolve_doubt(log(6, 7, 2, 4)));
}

TEST(LogCursor, ReportsALogEmptiedByTrimmingOnceWithoutEntriesAdded) {
  LogTail tail = log(1, 9, 9, 9);
  tail.added.reset();
  LogCursor cursor = LogCursor::at_tail(tail);
  LogTail empty = emptied(12, 12);
  empty.added.reset();
  EXPECT_TRUE(cursor.resolve_doubt(empty));
  EXPECT_EQ(cursor.position(), id(12));
  EXPECT_FALSE(cursor.resolve_doubt(empty));
}

TEST(LogCursor, ReportsNoSecondGapWhenTheEntriesAfterAGapWereDelivered) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  EXPECT_TRUE(cursor.resolve_doubt(log(15, 20, 6, 20)));
  cursor.advance(id(20), 6);
  EXPECT_FALSE(cursor.resolve_doubt(log(21, 22, 2, 22)));
}

TEST(LogCursor, ReportsAGapWhenTheLogIsDeleted) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  const auto gap = cursor.resolve_doubt({});
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->first_available, std::nullopt);
  EXPECT_EQ(cursor.position(), EntryId{});
  EXPECT_TRUE(cursor.proves_no_gap(std::nullopt, 0));  // the gap is reported only once
}

TEST(LogCursor, ReportsAGapWhenTheLogWasReplacedByOneWithLowerIds) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  const auto gap = cursor.resolve_doubt(log(3, 5, 2, 2));
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->first_available, id(3));
  EXPECT_EQ(cursor.position(), EntryId{});
  EXPECT_TRUE(cursor.proves_no_gap(id(3), 0));
}

TEST(LogCursor, ReportsAGapWhenTheLogWasReplacedByOneWithHigherIds) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  const auto gap = cursor.resolve_doubt(log(20, 21, 2, 2));
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->first_available, id(20));
}

// The reader was told of a gap and has not read the new log yet, because its client is slow.
TEST(LogCursor, ReportsAGapIfANewLogIsDeletedBeforeItsFirstRead) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  ASSERT_TRUE(cursor.resolve_doubt(log(3, 5, 2, 2)));
  EXPECT_EQ(cursor.newest_known(), id(3));
  EXPECT_FALSE(cursor.proves_no_gap(std::nullopt, 0));
  const auto gap = cursor.resolve_doubt({});
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->requested, EntryId{});
  EXPECT_EQ(gap->first_available, std::nullopt);
  EXPECT_TRUE(gap->begins_anew);
  EXPECT_FALSE(cursor.resolve_doubt({})) << "one gap";
  EXPECT_TRUE(cursor.proves_no_gap(std::nullopt, 0));
}

TEST(LogCursor, ReportsAGapIfANewLogIsReplacedBeforeItsFirstRead) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  ASSERT_TRUE(cursor.resolve_doubt(log(3, 5, 2, 2)));
  EXPECT_FALSE(cursor.proves_no_gap(id(20), 0));
  const auto gap = cursor.resolve_doubt(log(20, 21, 2, 2));
  ASSERT_TRUE(gap) << "nothing was trimmed, but 3 and 5 are gone";
  EXPECT_EQ(gap->first_available, id(20));
  EXPECT_FALSE(cursor.resolve_doubt(log(20, 21, 2, 2))) << "one gap";
  EXPECT_TRUE(cursor.proves_no_gap(id(20), 0));
}

TEST(LogCursor, ReportsNoGapIfALogIsDeletedAfterAllOfItWasRead) {
  LogCursor cursor = LogCursor::at_tail({});
  ASSERT_FALSE(cursor.resolve_doubt(log(3, 5, 2, 2)));
  cursor.advance(id(5), 2);
  EXPECT_FALSE(cursor.resolve_doubt(log(20, 21, 2, 4))) << "3 and 5 were trimmed";
}

// A failover to an older copy: the entry at the position is back, and the entries after the gap are gone.
TEST(LogCursor, ReportsAGapIfTheEntryAtThePositionComesBackBeforeTheNewLogIsRead) {
  for (const std::uint64_t deleted : {0, 6}) {
    std::optional<LogGap> gap;
    LogCursor cursor = behind(5, log(8, 20, 13, 20), &gap);
    ASSERT_TRUE(gap);
    EXPECT_FALSE(cursor.proves_no_gap(id(5), 1));
    LogTail copy = log(3, 7, 5, 7);
    copy.max_deleted = id(deleted);
    copy.connection = 1;
    EXPECT_TRUE(cursor.resolve_doubt(copy));
    EXPECT_TRUE(cursor.proves_no_gap(id(5), 1)) << "one gap";
    EXPECT_EQ(cursor.newest_known(), id(5));
  }
}

TEST(LogCursor, ReportsAGapAgainOnANewConnectionIfItsEntryIsStillMissing) {
  LogCursor cursor = LogCursor::at_tail(log(100, 200, 2, 2));
  LogTail other = log(100, 300, 3, 3);
  ASSERT_TRUE(cursor.resolve_doubt(other));
  EXPECT_FALSE(cursor.resolve_doubt(other));
  LogTail third = log(100, 301, 3, 3);
  third.connection = 1;
  EXPECT_TRUE(cursor.resolve_doubt(third)) << "300 may be lost";
}

TEST(LogCursor, ReportsAGapIfALogIsEmptiedAndThenReplaced) {
  LogCursor cursor = LogCursor::at_tail(log(100, 200, 2, 2));
  ASSERT_TRUE(cursor.resolve_doubt(log(100, 300, 3, 3)));
  ASSERT_TRUE(cursor.resolve_doubt(emptied(300, 4)));
  EXPECT_EQ(cursor.position(), id(300));
  EXPECT_TRUE(cursor.resolve_doubt(log(100, 400, 3, 3))) << "another log than the one that lacked 200";
}

TEST(LogCursor, SaysWhetherTheLogBeginsAnew) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  EXPECT_FALSE(cursor.resolve_doubt(log(15, 20, 6, 20))->begins_anew);
  EXPECT_TRUE(cursor.resolve_doubt(log(3, 5, 2, 2))->begins_anew);
}

TEST(LogCursor, FollowsALogThatBeginsAfterIt) {
  LogCursor cursor = LogCursor::at_tail({});
  EXPECT_EQ(cursor.position(), EntryId{});
  EXPECT_TRUE(cursor.proves_no_gap(std::nullopt, 0));
  EXPECT_FALSE(cursor.proves_no_gap(id(4), 0));
  EXPECT_FALSE(cursor.resolve_doubt(log(4, 6, 3, 3)));
}

TEST(LogCursor, ReportsAGapWhenANewLogWasTrimmedBeforeItsFirstRead) {
  LogCursor cursor = LogCursor::at_tail({});
  EXPECT_TRUE(cursor.resolve_doubt(log(4, 6, 3, 5)));
}

TEST(LogCursor, ResumesAfterAnEntryThatStillExists) {
  std::optional<LogGap> gap;
  LogCursor cursor = behind(5, log(1, 9, 9, 9), &gap);
  EXPECT_FALSE(gap);
  EXPECT_TRUE(cursor.proves_no_gap(id(5), 0));
}

TEST(LogCursor, ResumesAfterTheNewestEntryWithoutAGap) {
  std::optional<LogGap> gap;
  behind(9, log(1, 9, 9, 9), &gap);
  EXPECT_FALSE(gap);
  behind(9, emptied(9, 9), &gap);
  EXPECT_FALSE(gap);
}

TEST(LogCursor, ReportsAGapToAClientThatResumesAfterATrimmedEntry) {
  std::optional<LogGap> gap;
  LogCursor cursor = behind(3, log(5, 9, 5, 9), &gap);
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->requested, id(3));
  EXPECT_EQ(gap->first_available, id(5));
  EXPECT_TRUE(cursor.proves_no_gap(id(5), 0));
}

TEST(LogCursor, ReportsAGapToAClientWhoseLogIsDeletedEmptyOrBehindIt) {
  std::optional<LogGap> gap;
  behind(3, {}, &gap);
  ASSERT_TRUE(gap);
  EXPECT_FALSE(gap->first_available);
  behind(3, emptied(9, 9), &gap);
  ASSERT_TRUE(gap);
  EXPECT_FALSE(gap->first_available);
  behind(30, log(5, 9, 5, 9), &gap);
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->first_available, id(5));
}

TEST(LogCursor, ReportsAGapAtTheBeginningOnlyIfEntriesWereTrimmed) {
  std::optional<LogGap> gap;
  behind(0, log(1, 9, 9, 9), &gap);
  EXPECT_FALSE(gap);
  behind(0, {}, &gap);
  EXPECT_FALSE(gap);
  behind(0, log(5, 9, 5, 9), &gap);
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->requested, EntryId{});
}

TEST(LogCursor, ReportsNoGapWhenOnlyItsOwnEntryWasDeleted) {
  LogCursor cursor = behind(5, log(1, 9, 8, 9));
  EXPECT_FALSE(cursor.proves_no_gap(id(6), 0));
  LogTail tail = log(1, 9, 8, 9);
  tail.max_deleted = id(5);
  EXPECT_FALSE(cursor.resolve_doubt(tail));
}

TEST(LogCursor, ReportsNoGapIfTheEntryAtThePositionIsTheOldestOneAgain) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  EXPECT_FALSE(cursor.resolve_doubt(log(9, 12, 4, 12))) << "restored between the read and the tail";
}

// As after a failover to a server that never got the entry at 200 and has added others since.
TEST(LogCursor, ReportsAGapIfTheLogWasReplacedByOneWithAnOlderEntry) {
  LogCursor cursor = LogCursor::at_tail(log(100, 200, 2, 2));
  LogTail other = log(100, 300, 3, 3);
  other.max_deleted = id(150);
  EXPECT_FALSE(cursor.proves_no_gap(id(300), 0));
  const auto gap = cursor.resolve_doubt(other);
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->requested, id(200));
  EXPECT_EQ(gap->first_available, id(100));
  EXPECT_EQ(cursor.position(), id(200)) << "no entry is sent twice";
  EXPECT_FALSE(cursor.proves_no_gap(id(300), 0));
  EXPECT_FALSE(cursor.resolve_doubt(other)) << "one gap";
  cursor.advance(id(300), 1);
  EXPECT_TRUE(cursor.resolve_doubt(log(100, 400, 4, 4))) << "replaced again";
}

TEST(LogCursor, ReportsAGapToAClientWhoseLastEntryIsUnknownToTheLog) {
  std::optional<LogGap> gap;
  LogCursor cursor = behind(200, log(100, 300, 3, 3), &gap);
  EXPECT_FALSE(gap) << "the entry may exist";
  EXPECT_TRUE(cursor.resolve_doubt(log(100, 300, 3, 3)));
}

TEST(LogCursor, ReportsAGapInDoubtIfRedisDoesNotCountEntries) {
  LogTail tail = log(10, 12, 3, 0);
  tail.added.reset();
  LogTail before = log(1, 9, 9, 0);
  before.added.reset();
  LogCursor cursor = LogCursor::at_tail(before);
  EXPECT_TRUE(cursor.resolve_doubt(tail));
}

// ---- a new connection to Redis ----------------------------------------------------------------------

// Entry 9 was lost in a failover.  Then 10 and 11 were added, and 10 was trimmed.  So as many entries are
// gone as the reader has read.
TEST(LogCursor, ReportsAGapIfAFailoverLostAsManyEntriesAsWereTrimmedSince) {
  LogTail tail = log(11, 11, 1, 10);
  LogCursor same_connection = LogCursor::at_tail(log(1, 9, 9, 9));
  EXPECT_FALSE(same_connection.resolve_doubt(tail)) << "no failover: 9 entries were trimmed";
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  tail.connection = 1;
  const auto gap = cursor.resolve_doubt(tail);
  ASSERT_TRUE(gap);
  EXPECT_EQ(gap->requested, id(9));
  EXPECT_EQ(gap->first_available, id(11));
  EXPECT_FALSE(cursor.resolve_doubt(tail)) << "one gap";
}

TEST(LogCursor, CountsOnANewConnectionIfTheEntryAtThePositionStillExists) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  EXPECT_TRUE(cursor.proves_no_gap(id(9), 1));
  LogTail tail = log(10, 12, 3, 12);
  tail.connection = 1;
  EXPECT_FALSE(cursor.resolve_doubt(tail));
}

TEST(LogCursor, DoesNotCountOnANewConnectionIfTheEntryAtThePositionIsGone) {
  LogCursor cursor = LogCursor::at_tail(log(1, 9, 9, 9));
  EXPECT_FALSE(cursor.proves_no_gap(id(10), 1));
  LogTail tail = log(10, 12, 3, 12);
  tail.connection = 1;
  EXPECT_TRUE(cursor.resolve_doubt(tail)) << "a false alarm, because entry 9 may have been lost";
}

TEST(LogCursor, RemembersTheConnectionOfTheTailThatItBeganWith) {
  LogTail tail = emptied(9, 9);
  tail.connection = 3;
  LogCursor cursor = LogCursor::at_tail(tail);
  tail = log(10, 12, 3, 12);
  tail.connection = 3;
  EXPECT_FALSE(cursor.resolve_doubt(tail));
  std::optional<LogGap> gap;
  LogCursor resumed = LogCursor::after(id(9), tail, gap);
  EXPECT_TRUE(gap) << "nobody knows how many entries the client has got";
  EXPECT_FALSE(resumed.resolve_doubt(tail));
}

TEST(LogCursor, CountsFromTheBeginningOfTheLogOnAnyConnection) {
  LogTail tail = log(4, 6, 3, 6);
  std::optional<LogGap> gap;
  LogCursor cursor = LogCursor::after(id(0), log(1, 3, 3, 3), gap);
  EXPECT_FALSE(gap);
  tail.connection = 1;
  EXPECT_TRUE(cursor.resolve_doubt(tail)) << "1 to 3 were trimmed";
}

}  // namespace
}  // namespace tailgate
