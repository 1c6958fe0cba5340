#include "gateway/loop/wheel.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <random>
#include <vector>

namespace tailgate {
namespace {

using std::chrono::milliseconds;

struct Probe final : Wheel::Entry {
  std::vector<Wheel::Time> calls;
  std::function<void(Wheel::Time)> then;
  void on_due(Wheel::Time now) override {
    calls.push_back(now);
    if (then) then(now);
  }
};

const Wheel::Time kStart{std::chrono::hours(5)};

TEST(Wheel, CallsEachEntryOnceNeverEarlyAndAtMostTwoSlotsLate) {
  std::mt19937 random(7);
  Wheel wheel(kStart);
  std::vector<std::unique_ptr<Probe>> probes;
  std::vector<Wheel::Time> due;
  for (int i = 0; i < 500; ++i) {
    probes.push_back(std::make_unique<Probe>());
    due.push_back(kStart + milliseconds(random() % 60'000));
    wheel.set(*probes.back(), due.back());
  }
  for (auto now = kStart; now < kStart + milliseconds(61'000); now += milliseconds(7)) wheel.expire(now);
  for (std::size_t i = 0; i < probes.size(); ++i) {
    ASSERT_EQ(probes[i]->calls.size(), 1U);
    EXPECT_GE(probes[i]->calls[0], due[i]);
    EXPECT_LE(probes[i]->calls[0], due[i] + 2 * Wheel::kSlot + milliseconds(7));
  }
  EXPECT_TRUE(wheel.empty());
}

TEST(Wheel, ReplacesADeadlineThatIsSetAgain) {
  Wheel wheel(kStart);
  Probe probe;
  wheel.set(probe, kStart + milliseconds(50));
  wheel.set(probe, kStart + milliseconds(500));
  wheel.expire(kStart + milliseconds(400));
  EXPECT_TRUE(probe.calls.empty());
  wheel.expire(kStart + milliseconds(600));
  EXPECT_EQ(probe.calls.size(), 1U);
}

TEST(Wheel, ForgetsClearedAndDestroyedEntries) {
  Wheel wheel(kStart);
  Probe kept;
  {
    Probe destroyed;
    wheel.set(destroyed, kStart + milliseconds(50));
    wheel.set(kept, kStart + milliseconds(50));
    Wheel::clear(kept);
  }
  wheel.expire(kStart + milliseconds(1000));
  EXPECT_TRUE(kept.calls.empty());
  EXPECT_TRUE(wheel.empty());
}

TEST(Wheel, LetsAnEntrySetItselfAgainAndClearAnother) {
  Wheel wheel(kStart);
  Probe first;
  Probe second;
  first.then = [&](Wheel::Time now) {
    wheel.set(first, now + milliseconds(100));
    Wheel::clear(second);
  };
  wheel.set(first, kStart + milliseconds(10));
  wheel.set(second, kStart + milliseconds(10));
  for (int ms = 0; ms < 1000; ms += 10) wheel.expire(kStart + milliseconds(ms));
  EXPECT_GE(first.calls.size(), 8U);
  EXPECT_LE(first.calls.size(), 10U);
  EXPECT_TRUE(second.calls.empty());
}

TEST(Wheel, CallsEntriesThatFellDueDuringALongPause) {
  Wheel wheel(kStart);
  Probe probe;
  wheel.set(probe, kStart + milliseconds(30));
  wheel.expire(kStart + std::chrono::hours(1));
  EXPECT_EQ(probe.calls.size(), 1U);
  wheel.set(probe, kStart + std::chrono::hours(1) + milliseconds(30));
  wheel.expire(kStart + std::chrono::hours(1) + milliseconds(100));
  EXPECT_EQ(probe.calls.size(), 2U);
}

}  // namespace
}  // namespace tailgate
