#include "gateway/loop/loop.h"

#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>

#include "tests/support/loop_fixture.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;

class TimersTest : public testing::LoopTest {
 protected:
  std::string calls_;
};

TEST_F(TimersTest, CallsOnceAndNeverEarly) {
  const TimePoint due = Loop::now() + milliseconds(20);
  TimePoint called;
  Timer timer(loop_, [&] {
    calls_ += 'a';
    called = Loop::now();
  });
  timer.after(milliseconds(20));
  EXPECT_TRUE(timer.pending());
  ASSERT_TRUE(run_until([&] { return !calls_.empty(); }));
  EXPECT_FALSE(timer.pending());
  EXPECT_GE(called, due - milliseconds(5)) << "libevent's coarse clock has steps of 4 ms";
  run_for(milliseconds(40));
  EXPECT_EQ(calls_, "a");
}

TEST_F(TimersTest, ReplacesAnEarlierDelayAndForgetsACancelledOne) {
  Timer replaced(loop_, [&] { calls_ += 'a'; });
  replaced.after(std::chrono::hours(1));
  replaced.after(milliseconds(1));
  Timer cancelled(loop_, [&] { calls_ += 'b'; });
  cancelled.after(milliseconds(1));
  cancelled.cancel();
  EXPECT_FALSE(cancelled.pending());
  ASSERT_TRUE(run_until([&] { return !calls_.empty(); }));
  run_for(milliseconds(20));
  EXPECT_EQ(calls_, "a");
}

TEST_F(TimersTest, CanBeSetAgainInsideItsCall) {
  Timer timer(loop_, [&] {
    calls_ += 'a';
    if (calls_.size() < 3) timer.after(milliseconds(1));
  });
  timer.after(milliseconds(0));
  ASSERT_TRUE(run_until([&] { return calls_ == "aaa"; }));
  EXPECT_FALSE(timer.pending());
}

using TurnEndTest = TimersTest;

TEST_F(TurnEndTest, IsCalledOnceAndAfterTheOtherCallbacksOfTheTurn) {
  TurnEnd end(loop_, [&] { calls_ += 'e'; });
  Timer first(loop_, [&] {
    calls_ += '1';
    end.ask();
    end.ask();
  });
  Timer second(loop_, [&] { calls_ += '2'; });
  first.after(milliseconds(1));
  second.after(milliseconds(1));
  const TimePoint later = Loop::now() + milliseconds(10);
  while (Loop::now() < later) continue;  // both timers are due in one turn
  ASSERT_TRUE(run_until([&] { return calls_.size() == 3; }));
  EXPECT_EQ(calls_, "12e");
}

TEST_F(TurnEndTest, CanBeAskedAgainInsideItsCall) {
  TurnEnd end(loop_, [&] {
    calls_ += 'e';
    if (calls_.size() < 2) end.ask();
  });
  end.ask();
  EXPECT_TRUE(run_until([&] { return calls_ == "ee"; }));
}

using SignalWatchTest = TimersTest;

TEST_F(SignalWatchTest, IsCalledEachTimeTheSignalArrives) {
  const SignalWatch watch(loop_, SIGUSR2, [&] { calls_ += 's'; });
  for (const char* expected : {"s", "ss"}) {
    std::raise(SIGUSR2);
    ASSERT_TRUE(run_until([&] { return calls_ == expected; }));
  }
}

// Returns the line of the histogram for turns of at most 20 ms, and the line for all turns.
std::string long_turns(const Loop& loop) {
  MetricsText out;
  loop.turn_times().write_metrics(out);
  std::string lines;
  for (const char* name : {"_bucket{le=\"0.02\"} ", "_count "}) {
    const auto begin = out.text().find(name);
    lines += out.text().substr(begin, out.text().find('\n', begin) - begin) + '\n';
  }
  return lines;
}

void work(std::chrono::milliseconds time) {
  const TimePoint until = Loop::now() + time;
  while (Loop::now() < until) {
  }
}

TEST(LoopTurns, MeasuresATurnFromItsFirstCallbackToItsLastTurnEnd) {
  Loop loop;
  TurnEnd last(loop, [] { work(std::chrono::milliseconds(15)); });
  TurnEnd first(loop, [&] { last.ask(); });
  Timer timer(loop, [&] {
    first.ask();
    work(std::chrono::milliseconds(15));
  });
  timer.after(std::chrono::milliseconds(0));
  loop.run();
  EXPECT_EQ(long_turns(loop), "_bucket{le=\"0.02\"} 0\n_count 1\n");
}

TEST(LoopTurns, DoesNotCountTheWaitBetweenTwoTurns) {
  Loop loop;
  int left = 3;
  Timer timer(loop, [&] {
    if (--left > 0) timer.after(std::chrono::milliseconds(30));
  });
  timer.after(std::chrono::milliseconds(0));
  loop.run();
  EXPECT_EQ(long_turns(loop), "_bucket{le=\"0.02\"} 3\n_count 3\n");
}

TEST(LoopTurns, EndsAlthoughATurnEndDiesBeforeItRuns) {
  Loop loop;
  auto dead = std::make_unique<TurnEnd>(loop, [] {});
  Timer timer(loop, [&] {
    dead->ask();
    dead.reset();
  });
  timer.after(std::chrono::milliseconds(0));
  loop.run();
  EXPECT_EQ(long_turns(loop), "_bucket{le=\"0.02\"} 1\n_count 1\n");
}

}  // namespace
}  // namespace tailgate
