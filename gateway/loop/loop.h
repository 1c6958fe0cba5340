// Loop: the one event loop, its timers, its signals, and the end of each turn.
//
// Knows libevent; knows nothing of HTTP or Redis.  One thread.  Everything below
// must die before the Loop it was made with.
#pragma once

#include <chrono>
#include <functional>

#include "gateway/loop/handles.h"

namespace tailgate {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

class Loop {
 public:
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until stop(), or until nothing is left that could happen.
  void run();
  void stop();

  // What the callers' timers compare against; read once where several things must agree.
  static TimePoint now() { return Clock::now(); }
  event_base* base() const { return base_.get(); }

 private:
  EventBaseHandle base_;
};

// Calls once, `delay` after the last after().  May be re-armed from within its own call.
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

// A Timer for moments: libevent keeps the others by the kernel's coarse clock, which goes in steps of 4 ms on
// most machines.  Costs a descriptor.
class ShortTimer {
 public:
  ShortTimer(const Loop& loop, std::function<void()> call);
  ~ShortTimer();
  ShortTimer(const ShortTimer&) = delete;
  ShortTimer& operator=(const ShortTimer&) = delete;

  // Precondition: `delay` is positive.
  void after(std::chrono::microseconds delay);
  void cancel();
  bool pending() const { return pending_; }

 private:
  void set(std::chrono::microseconds delay) const;

  std::function<void()> call_;
  int fd_;
  EventHandle event_;
  bool pending_ = false;
};

// Calls once after the callbacks that are already due in this turn of the loop, where nobody iterates
// over anything: the place for what must not happen inside somebody's callback.
class TurnEnd {
 public:
  TurnEnd(const Loop& loop, std::function<void()> call);
  TurnEnd(const TurnEnd&) = delete;
  TurnEnd& operator=(const TurnEnd&) = delete;

  // Asking again before the call changes nothing.
  void ask();

 private:
  std::function<void()> call_;
  EventHandle event_;
  bool asked_ = false;
};

// Calls at each arrival of a signal, in the loop.
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
