#include "gateway/loop/loop.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>

namespace tailgate {

namespace {

// libevent returns null only when memory is out.
template <typename T>
T* must(T* object) {
  if (object == nullptr) std::abort();
  return object;
}

void call_cb(evutil_socket_t /*fd*/, short /*what*/, void* call) noexcept {
  (*static_cast<std::function<void()>*>(call))();
}

EventHandle make_event(const Loop& loop, int fd, short what, std::function<void()>* call) {
  return EventHandle(must(event_new(loop.base(), fd, what, call_cb, call)));
}

}  // namespace

// The turn of the loop that is under way.
struct Loop::Turn {
  std::optional<TimePoint> began;  // none: this turn is not measured yet
  int ends_asked = 0;              // the TurnEnds that have not run yet
  TurnTimes times;
  std::function<void()> at_end;
  EventHandle end;
};

Loop::Loop() : base_(must(event_base_new())), turn_(std::make_unique<Turn>()) {
  turn_->at_end = [turn = turn_.get()] {
    // A TurnEnd that was asked after this one belongs to the turn, too.
    if (turn->ends_asked > 0) return event_active(turn->end.get(), EV_TIMEOUT, 0);
    turn->times.add(now() - *std::exchange(turn->began, std::nullopt));
  };
  turn_->end = make_event(*this, -1, 0, &turn_->at_end);
}

Loop::~Loop() = default;

void Loop::measure_turn() const {
  if (turn_->began) return;
  turn_->began = now();
  event_active(turn_->end.get(), EV_TIMEOUT, 0);
}

const TurnTimes& Loop::turn_times() const {
  return turn_->times;
}

void Loop::run() {
  event_base_dispatch(base_.get());
}

void Loop::stop() {
  event_base_loopbreak(base_.get());
}

Timer::Timer(const Loop& loop, std::function<void()> call)
    : call_([&loop, inner = std::move(call)] {
        loop.measure_turn();
        inner();
      }),
      event_(make_event(loop, -1, 0, &call_)) {
}

void Timer::after(std::chrono::microseconds delay) {
  const timeval interval = as_timeval(std::max(delay, std::chrono::microseconds(0)));
  event_add(event_.get(), &interval);
}

void Timer::cancel() {
  event_del(event_.get());
}

bool Timer::pending() const {
  return event_pending(event_.get(), EV_TIMEOUT, nullptr) != 0;
}

TurnEnd::TurnEnd(const Loop& loop, std::function<void()> call)
    : loop_(loop),
      call_([this, inner = std::move(call)] {
        loop_.measure_turn();
        asked_ = false;
        --loop_.turn_->ends_asked;
        inner();
      }),
      event_(make_event(loop, -1, 0, &call_)) {
}

TurnEnd::~TurnEnd() {
  if (asked_) --loop_.turn_->ends_asked;
}

void TurnEnd::ask() {
  if (std::exchange(asked_, true)) return;
  ++loop_.turn_->ends_asked;
  event_active(event_.get(), EV_TIMEOUT, 0);
}

SignalWatch::SignalWatch(const Loop& loop, int number, std::function<void()> call)
    : call_(std::move(call)), event_(make_event(loop, number, EV_SIGNAL | EV_PERSIST, &call_)) {
  event_add(event_.get(), nullptr);
}

}  // namespace tailgate
