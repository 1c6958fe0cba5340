#include "gateway/redis/read_rest.h"

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
  microseconds after_a_second_of(int messages, int lines) {
    microseconds last{};
    for (const auto end = now_ + seconds(1); now_ < end;) {
      for (int i = 0; i < messages; ++i) rest_.count_message();
      rest_.count_lines(static_cast<std::size_t>(lines));
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
  EXPECT_EQ(after_a_second_of(0, 40), microseconds(0)) << "800 lines a second: 1.49 in a rest";
  EXPECT_EQ(after_a_second_of(250, 0), microseconds(0)) << "5,000 messages a second: 1.4 in a rest";
}

TEST_F(ReadRestTest, IsLongerForLinesThanForMessages) {
  EXPECT_EQ(after_a_second_of(0, 41), 2 * ReadRest::kHalfOfLines) << "820 a second: 1.53 in a rest";
  EXPECT_EQ(after_a_second_of(400, 0), ReadRest::kMessageRest) << "8,000 a second: 2.2 in a rest";
}

TEST_F(ReadRestTest, IsLongOnlyForMessagesThatAreFewAmongLines) {
  EXPECT_EQ(after_a_second_of(50, 400), 2 * ReadRest::kHalfOfLines);
  EXPECT_EQ(after_a_second_of(51, 400), ReadRest::kMessageRest);
  EXPECT_EQ(after_a_second_of(400, 100), ReadRest::kMessageRest);
}

TEST_F(ReadRestTest, LeavesTimeForAnAnswerThatTakesLong) {
  for (int i = 0; i < 1000; ++i) rest_.note_answer(microseconds(160));
  const microseconds line = after_a_second_of(0, 1000) / 2 + 3 * microseconds(160);
  EXPECT_GT(line, ReadRest::kHalfOfLines - microseconds(12));
  EXPECT_LT(line, ReadRest::kHalfOfLines + microseconds(12));
}

TEST_F(ReadRestTest, IsAsLongAsHalfOfTheLinesMayWait) {
  rest_.set_half_of_lines(milliseconds(3));
  EXPECT_EQ(after_a_second_of(0, 13), milliseconds(6)) << "260 a second: 1.56 in a rest";
}

TEST_F(ReadRestTest, GoesOnWithALittleLessCompanyThanItBeginsWith) {
  EXPECT_EQ(after_a_second_of(0, 36), microseconds(0)) << "1.34 in a rest";
  EXPECT_NE(after_a_second_of(0, 41), microseconds(0)) << "1.53";
  EXPECT_NE(after_a_second_of(0, 36), microseconds(0)) << "1.34";
  EXPECT_EQ(after_a_second_of(0, 34), microseconds(0)) << "1.26";
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
