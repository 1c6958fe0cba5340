// Deadlines: a Wheel that a timer of the loop advances.
//
// The timer runs only while the wheel holds an entry.  Must outlive its entries.
#pragma once

#include "gateway/loop/loop.h"
#include "gateway/loop/wheel.h"

namespace tailgate {

class Deadlines {
 public:
  explicit Deadlines(const Loop& loop)
      : wheel_(Loop::now()), tick_(loop, [this] {
          wheel_.expire(Loop::now());
          if (!wheel_.empty()) tick_.after(Wheel::kSlot);
        }) {}

  // Replaces the entry's deadline.
  void set(Wheel::Entry& entry, TimePoint due) {
    wheel_.set(entry, due);
    if (!tick_.pending()) tick_.after(Wheel::kSlot);
  }

 private:
  Wheel wheel_;
  Timer tick_;
};

}  // namespace tailgate
