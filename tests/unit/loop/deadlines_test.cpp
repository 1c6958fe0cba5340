#include "gateway/loop/deadlines.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "tests/support/loop_fixture.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;

struct Probe final : Wheel::Entry {
  int calls = 0;
  std::function<void()> then;
  void on_due(Wheel::Time /*now*/) override {
    ++calls;
    if (then) then();
  }
};

class DeadlinesTest : public testing::LoopTest {
 protected:
  Deadlines deadlines_{loop_};
};

TEST_F(DeadlinesTest, CallsEachEntryOnceAndNeverEarly) {
  Probe soon;
  Probe later;
  const TimePoint due = Loop::now() + milliseconds(60);
  deadlines_.set(later, due);
  deadlines_.set(soon, Loop::now());
  ASSERT_TRUE(run_until([&] { return later.calls == 1; }));
  EXPECT_GE(Loop::now(), due);
  EXPECT_EQ(soon.calls, 1);
  run_for(milliseconds(60));
  EXPECT_EQ(soon.calls + later.calls, 2);
}

TEST_F(DeadlinesTest, AcceptsAnEntryInsideItsCallAndAfterTheWheelWasEmpty) {
  Probe again;
  again.then = [&] {
    if (again.calls < 3) deadlines_.set(again, Loop::now() + milliseconds(1));
  };
  deadlines_.set(again, Loop::now());
  ASSERT_TRUE(run_until([&] { return again.calls == 3; }));
  run_for(milliseconds(50));  // the wheel is empty and stands still
  Probe late;
  deadlines_.set(late, Loop::now() + milliseconds(1));
  EXPECT_TRUE(run_until([&] { return late.calls == 1; }));
}

TEST_F(DeadlinesTest, ForgetsAnEntryThatHasDied) {
  std::optional<Probe> dead;
  int calls = 0;
  dead.emplace().then = [&] { ++calls; };
  deadlines_.set(*dead, Loop::now() + milliseconds(10));
  dead.reset();
  run_for(milliseconds(60));
  EXPECT_EQ(calls, 0);
}

}  // namespace
}  // namespace tailgate
