// Wheel: deadlines of many things with one timer.
//
// Pure.  A hashed timing wheel: setting and clearing a deadline costs a few pointers, advancing
// costs the slots passed.  Deadlines are late by at most one slot, never early.  Inside expire()'s call
// any entry may be set or cleared, also the one that is due; none may be destroyed while linked
// (its destructor unlinks it).
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

namespace tailgate {

class Wheel {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds kSlot{20};

  // Base of what has a deadline.
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
  // Calls on_due() of everything whose time has come.
  void expire(Time now);
  bool empty() const { return linked_ == 0; }

 private:
  // A list's anchor, linked to itself and counted nowhere.
  struct Head final : Entry {
    ~Head() override { next_ = prev_ = nullptr; }
    void on_due(Time /*now*/) override {}
  };
  static constexpr std::size_t kSlots = 1024;

  std::size_t slot_of(Time time) const;
  void link(Entry& head, Entry& entry);

  Time start_;
  std::size_t passed_ = 0;  // slots fully behind us, since start_
  std::size_t linked_ = 0;
  std::array<Head, kSlots> heads_;
};

}  // namespace tailgate
