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
  // The rest after one second in which this many messages and lines arrived every 50 ms.
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

TEST_F(ReadRestTest, IsZeroBeforeTheFirstMessage) {
  EXPECT_EQ(rest_.rest(now_), microseconds(0));
}

TEST_F(ReadRestTest, IsZeroWhileItWouldRarelyJoinTwoMessages) {
  EXPECT_EQ(after_a_second_of(0, 40), microseconds(0)) << "800 lines a second: 1.49 expected in a rest";
  EXPECT_EQ(after_a_second_of(250, 0), microseconds(0)) << "5,000 messages a second: 1.4 expected";
}

TEST_F(ReadRestTest, IsLongerForLinesThanForMessages) {
  EXPECT_EQ(after_a_second_of(0, 41), 2 * ReadRest::kHalfOfLines) << "820 a second: 1.53 expected";
  EXPECT_EQ(after_a_second_of(400, 0), ReadRest::kMessageRest) << "8,000 a second: 2.2 expected";
}

TEST_F(ReadRestTest, IsLongIfThereAreEightLinesForEachMessage) {
  EXPECT_EQ(after_a_second_of(50, 400), 2 * ReadRest::kHalfOfLines);
  EXPECT_EQ(after_a_second_of(51, 400), ReadRest::kMessageRest);
  EXPECT_EQ(after_a_second_of(400, 100), ReadRest::kMessageRest);
}

TEST_F(ReadRestTest, IsShorterByTheTimeOfThreeAnswersOfRedis) {
  for (int i = 0; i < 1000; ++i) rest_.note_answer(microseconds(160));
  const microseconds line = after_a_second_of(0, 1000) / 2 + 3 * microseconds(160);
  EXPECT_GT(line, ReadRest::kHalfOfLines - microseconds(12));
  EXPECT_LT(line, ReadRest::kHalfOfLines + microseconds(12));
}

TEST_F(ReadRestTest, IsTwiceTheConfiguredMedianDelay) {
  rest_.set_half_of_lines(milliseconds(3));
  EXPECT_EQ(after_a_second_of(0, 13), milliseconds(6)) << "260 a second: 1.56 expected";
}

TEST_F(ReadRestTest, StaysOnUntilTrafficFallsBelow85PercentOfTheThreshold) {
  EXPECT_EQ(after_a_second_of(0, 36), microseconds(0)) << "1.34 expected: off";
  EXPECT_NE(after_a_second_of(0, 41), microseconds(0)) << "1.53 expected: on";
  EXPECT_NE(after_a_second_of(0, 36), microseconds(0)) << "1.34 expected: still on";
  EXPECT_EQ(after_a_second_of(0, 34), microseconds(0)) << "1.26 expected: off";
}

TEST_F(ReadRestTest, IsNeverBelowItsMinimumForLines) {
  for (int i = 0; i < 2000; ++i) rest_.note_answer(milliseconds(50));
  EXPECT_EQ(after_a_second_of(0, 1000), ReadRest::kShortestRest);
}

TEST_F(ReadRestTest, FollowsTheMedianAnswerTime) {
  for (int i = 0; i < 3000; ++i) rest_.note_answer(i % 3 == 0 ? seconds(2) : seconds(0) + microseconds(160));
  const microseconds rest = after_a_second_of(0, 1000);
  EXPECT_GT(rest, microseconds(860)) << "a third of the answers is slow: the median is not";
  EXPECT_LT(rest, microseconds(940));
}

TEST_F(ReadRestTest, IsChosenAgainAfterEachSpan) {
  EXPECT_EQ(after_a_second_of(0, 0), microseconds(0));
  for (int i = 0; i < 400; ++i) rest_.count_message();
  EXPECT_EQ(rest_.rest(now_ + milliseconds(49)), microseconds(0)) << "the span is not over";
  EXPECT_EQ(rest_.rest(now_ + milliseconds(50)), ReadRest::kMessageRest);
  EXPECT_EQ(rest_.rest(now_ + milliseconds(51)), ReadRest::kMessageRest)
      << "unchanged until the next span ends";
  EXPECT_EQ(rest_.rest(now_ + milliseconds(100)), microseconds(0));
}

TEST_F(ReadRestTest, IsZeroForABurstAfterALongSilence) {
  EXPECT_EQ(after_a_second_of(400, 0), ReadRest::kMessageRest);
  for (int i = 0; i < 400; ++i) rest_.count_message();
  EXPECT_EQ(rest_.rest(now_ + seconds(60)), microseconds(0));
}

}  // namespace
}  // namespace tailgate
