#include "gateway/loop/loop.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
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

Loop::Loop() : base_(must(event_base_new())) {
}

void Loop::run() {
  event_base_dispatch(base_.get());
}

void Loop::stop() {
  event_base_loopbreak(base_.get());
}

Timer::Timer(const Loop& loop, std::function<void()> call)
    : call_(std::move(call)), event_(make_event(loop, -1, 0, &call_)) {
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
    : call_([this, inner = std::move(call)] {
        asked_ = false;
        inner();
      }),
      event_(make_event(loop, -1, 0, &call_)) {
}

void TurnEnd::ask() {
  if (std::exchange(asked_, true)) return;
  event_active(event_.get(), EV_TIMEOUT, 0);
}

SignalWatch::SignalWatch(const Loop& loop, int number, std::function<void()> call)
    : call_(std::move(call)), event_(make_event(loop, number, EV_SIGNAL | EV_PERSIST, &call_)) {
  event_add(event_.get(), nullptr);
}

}  // namespace tailgate
