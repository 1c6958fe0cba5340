#include "gateway/loop/wheel.h"

#include <algorithm>
#include <cstdint>

namespace tailgate {

namespace {

// on_due() reads the object around the entry, usually a Stream.  With thousands of streams, this object is
// usually not in the CPU's cache.
void prefetch(const Wheel::Entry* entry) {
  const auto at = reinterpret_cast<std::uintptr_t>(entry);
  for (const std::uintptr_t line : {64U, 128U, 192U, 256U, 320U}) {
    __builtin_prefetch(reinterpret_cast<const void*>(at + line));  // NOLINT(performance-no-int-to-ptr)
  }
}

}  // namespace

Wheel::Wheel(Time now) : start_(now) {
  for (Head& head : heads_) head.next_ = head.prev_ = &head;
}

// Rounds up.  So a deadline of the current revolution has passed when expire() visits its slot.
std::size_t Wheel::slot_of(Time time) const {
  const auto since = std::max(time - start_, Time::duration::zero());
  return static_cast<std::size_t>((since + kSlot - Time::duration(1)) / kSlot);
}

void Wheel::link(Entry& head, Entry& entry) {
  entry.prev_ = head.prev_;
  entry.next_ = &head;
  head.prev_->next_ = &entry;
  head.prev_ = &entry;
  entry.linked_ = &linked_;
  ++linked_;
}

void Wheel::set(Entry& entry, Time due) {
  entry.unlink();
  entry.due_ = due;
  link(heads_[std::max(slot_of(due), passed_ + 1) % kSlots], entry);
}

void Wheel::expire(Time now) {
  const auto target = static_cast<std::size_t>(std::max(now - start_, Time::duration::zero()) / kSlot);
  // After a longer pause than one revolution, one revolution is enough, because it visits every slot.
  if (target > passed_ + kSlots) passed_ = target - kSlots;
  while (passed_ < target) {
    Head& head = heads_[++passed_ % kSlots];
    // Due entries move to a separate list first, because on_due() may put an entry back into this slot.
    Head due;
    due.next_ = due.prev_ = &due;
    for (Entry* entry = head.next_; entry != &head;) {
      Entry* next = entry->next_;
      if (entry->due_ <= now) {
        prefetch(entry);
        entry->unlink();
        link(due, *entry);
      }
      entry = next;
    }
    while (due.next_ != &due) {
      Entry* entry = due.next_;
      entry->unlink();
      entry->on_due(now);
    }
  }
}

}  // namespace tailgate
