// Wheel: the deadlines of many entries, in a hashed timing wheel.
//
// Pure.  Setting or clearing a deadline changes a few pointers; expire() visits the slots that have passed.
// on_due() is never early and at most one slot late.  It may set, clear or destroy any entry, even its own.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

namespace tailgate {

class Wheel {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds kSlot{20};

  class Entry {
   public:
    Entry() = default;
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    virtual ~Entry() { unlink(); }

   protected:
    virtual void on_due(Time now) = 0;

   private:
    friend class Wheel;
    friend struct Head;
    void unlink() {
      if (next_ == nullptr) return;
      prev_->next_ = next_;
      next_->prev_ = prev_;
      next_ = prev_ = nullptr;
      --*linked_;
    }

    Entry* next_ = nullptr;
    Entry* prev_ = nullptr;
    std::size_t* linked_ = nullptr;
    Time due_{};
  };

  explicit Wheel(Time now);
  Wheel(const Wheel&) = delete;
  Wheel& operator=(const Wheel&) = delete;

  // Replaces the entry's deadline.
  void set(Entry& entry, Time due);
  static void clear(Entry& entry) { entry.unlink(); }
  // Removes each entry whose deadline has passed, then calls its on_due().
  void expire(Time now);
  bool empty() const { return linked_ == 0; }

 private:
  // The anchor of a circular list; not an entry of the wheel.
  struct Head final : Entry {
    ~Head() override { next_ = prev_ = nullptr; }
    void on_due(Time /*now*/) override {}
  };
  static constexpr std::size_t kSlots = 1024;

  std::size_t slot_of(Time time) const;
  void link(Entry& head, Entry& entry);

  Time start_;
  std::size_t passed_ = 0;  // slots since start_ that have been visited
  std::size_t linked_ = 0;
  std::array<Head, kSlots> heads_;
};

}  // namespace tailgate
