#include "gateway/pure/read_rest.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tailgate {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

class ReadRestTest : public testing::Test {
 protected:
  // What is said at the end of a second in which so many of each came every 50 ms.
  microseconds after_a_second_of(int messages, int announcements) {
    microseconds last{};
    for (const auto end = now_ + seconds(1); now_ < end;) {
      for (int i = 0; i < messages; ++i) rest_.count_message();
      for (int i = 0; i < announcements; ++i) rest_.count_announcement();
      now_ += milliseconds(50);
      last = rest_.rest(now_);
    }
    return last;
  }

  ReadRest rest_;
  ReadRest::Time now_{seconds(1000)};
};

TEST_F(ReadRestTest, IsNothingBeforeAnythingHasCome) {
  EXPECT_EQ(rest_.rest(now_), microseconds(0));
}

TEST_F(ReadRestTest, IsNothingWhereItWouldBringHardlyAnyCompany) {
  EXPECT_EQ(after_a_second_of(0, 49), microseconds(0)) << "980 announcements a second: 1.47 in a rest";
  EXPECT_EQ(after_a_second_of(250, 0), microseconds(0)) << "5,000 messages a second: 1.4 in a rest";
}

TEST_F(ReadRestTest, IsLongerForAnnouncementsThanForMessages) {
  EXPECT_EQ(after_a_second_of(0, 100), ReadRest::kLongestRest) << "2,000 a second: 3 in a rest";
  EXPECT_EQ(after_a_second_of(400, 0), ReadRest::kMessageRest) << "8,000 a second: 2.2 in a rest";
}

TEST_F(ReadRestTest, IsLongOnlyForMessagesThatAreFewAmongAnnouncements) {
  EXPECT_EQ(after_a_second_of(50, 400), ReadRest::kLongestRest);
  EXPECT_EQ(after_a_second_of(51, 400), ReadRest::kMessageRest);
  EXPECT_EQ(after_a_second_of(400, 100), ReadRest::kMessageRest);
}

TEST_F(ReadRestTest, LeavesTimeForAnAnswerThatTakesLong) {
  for (int i = 0; i < 1000; ++i) rest_.note_answer(microseconds(160));
  const microseconds line = after_a_second_of(0, 1000) / 2 + 3 * microseconds(160);
  EXPECT_GT(line, ReadRest::kHalfOfLines - microseconds(10));
  EXPECT_LT(line, ReadRest::kHalfOfLines + microseconds(10));
}

TEST_F(ReadRestTest, IsShortButNotNothingWhileAnswersTakeLongerThanALineMay) {
  for (int i = 0; i < 2000; ++i) rest_.note_answer(milliseconds(50));
  EXPECT_EQ(after_a_second_of(0, 1000), ReadRest::kShortestRest);
}

TEST_F(ReadRestTest, FollowsTheMedianOfTheAnswers) {
  for (int i = 0; i < 3000; ++i) rest_.note_answer(i % 3 == 0 ? seconds(2) : seconds(0) + microseconds(160));
  const microseconds rest = after_a_second_of(0, 1000);
  EXPECT_GT(rest, microseconds(860)) << "a third of slow ones says little";
  EXPECT_LT(rest, microseconds(940));
}

TEST_F(ReadRestTest, BeginsWithinASpanAndEndsWithinOne) {
  EXPECT_EQ(after_a_second_of(0, 0), microseconds(0));
  for (int i = 0; i < 400; ++i) rest_.count_message();
  EXPECT_EQ(rest_.rest(now_ + milliseconds(49)), microseconds(0)) << "the span is not over";
  EXPECT_EQ(rest_.rest(now_ + milliseconds(50)), ReadRest::kMessageRest);
  EXPECT_EQ(rest_.rest(now_ + milliseconds(51)), ReadRest::kMessageRest) << "until the next is over";
  EXPECT_EQ(rest_.rest(now_ + milliseconds(100)), microseconds(0));
}

TEST_F(ReadRestTest, IsNothingForWhatComesAfterALongSilence) {
  EXPECT_EQ(after_a_second_of(400, 0), ReadRest::kMessageRest);
  for (int i = 0; i < 400; ++i) rest_.count_message();
  EXPECT_EQ(rest_.rest(now_ + seconds(60)), microseconds(0));
}

}  // namespace
}  // namespace tailgate
