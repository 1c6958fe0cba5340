// Loop: the event loop, its timers, its signals, and the end of each turn.
//
// Knows libevent; knows nothing of HTTP or Redis.  All calls come from the thread that runs the loop.  Each
// object below must die before its Loop.
#pragma once

#include <sys/time.h>

#include <chrono>
#include <functional>
#include <memory>

#include "gateway/base/turn_times.h"
#include "gateway/loop/handles.h"

namespace tailgate {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

inline timeval as_timeval(std::chrono::microseconds time) {
  return {time.count() / 1'000'000, time.count() % 1'000'000};
}

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Returns after stop(), or when no event is left to wait for.
  void run();
  void stop();

  static TimePoint now() { return Clock::now(); }
  event_base* base() const { return base_.get(); }

  // Measures this turn of the loop from now to its end.  Call it at the beginning of a callback; further
  // calls in the same turn change nothing.  libevent 2.1 itself cannot tell when a turn begins.
  void measure_turn() const;
  const TurnTimes& turn_times() const;

 private:
  friend class TurnEnd;
  struct Turn;

  EventBaseHandle base_;
  std::unique_ptr<Turn> turn_;
};

// Calls `call` once, when `delay` has passed since the latest after().  `call` may call after() again.
class Timer {
 public:
  Timer(const Loop& loop, std::function<void()> call);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void after(std::chrono::microseconds delay);
  void cancel();
  bool pending() const;

 private:
  std::function<void()> call_;
  EventHandle event_;
};

// After ask(), calls `call` once, after the callbacks of all events that this turn of the loop has found.  No
// other callback is running then, so `call` may destroy objects that callbacks use.
class TurnEnd {
 public:
  TurnEnd(const Loop& loop, std::function<void()> call);
  ~TurnEnd();
  TurnEnd(const TurnEnd&) = delete;
  TurnEnd& operator=(const TurnEnd&) = delete;

  // Further calls before the end of the turn change nothing.
  void ask();

 private:
  const Loop& loop_;
  std::function<void()> call_;
  EventHandle event_;
  bool asked_ = false;
};

// Calls `call` each time the signal arrives.
class SignalWatch {
 public:
  SignalWatch(const Loop& loop, int number, std::function<void()> call);
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  std::function<void()> call_;
  EventHandle event_;
};

}  // namespace tailgate
