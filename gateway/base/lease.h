// Leases: objects that keep a membership or a call alive.
//
// Pure.  A live lease keeps a member in a list (LeaseList) or a function callable (LeasedCall).  A lease can
// be moved, not copied.  A default-constructed or moved-from lease keeps nothing.
#pragma once

#include <cassert>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace tailgate {

// An unordered list.  A member stays as long as its lease lives.  The list must outlive the leases.
template <typename T>
class LeaseList {
 public:
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept { take(other); }
    // Ends the lease held so far.
    Lease& operator=(Lease other) noexcept {
      end();
      take(other);
      return *this;
    }
    ~Lease() { end(); }

    bool active() const { return list_ != nullptr; }

   private:
    friend class LeaseList;
    void take(Lease& other) {
      list_ = std::exchange(other.list_, nullptr);
      index_ = other.index_;
      if (list_ != nullptr) list_->members_[index_].lease = this;
    }
    void end() {
      if (list_ != nullptr) std::exchange(list_, nullptr)->remove(index_);
    }

    LeaseList* list_ = nullptr;
    std::size_t index_ = 0;  // in list_->members_
  };

  // `on_empty` is called when the last member has left, and may destroy the list.
  explicit LeaseList(std::function<void()> on_empty) : on_empty_(std::move(on_empty)) {}
  LeaseList(const LeaseList&) = delete;
  LeaseList& operator=(const LeaseList&) = delete;

  // Precondition: no round is under way.
  [[nodiscard]] Lease add(T value) {
    assert(unvisited_ == 0);
    Lease lease;
    lease.list_ = this;
    lease.index_ = members_.size();
    members_.push_back({std::move(value), &lease});
    return lease;
  }
  bool empty() const { return members_.empty(); }
  // Inside `call` no member may come or leave.
  template <typename Call>
  void for_each(const Call& call) const {
    for (const Member& member : members_) call(member.value);
  }

  // A round visits every member once.  Members may leave between two calls of next().
  void begin_round() { unvisited_ = members_.size(); }
  bool in_round() const { return unvisited_ > 0; }
  // Precondition: in_round().
  T& next() { return members_[members_.size() - unvisited_--].value; }
  // The member that is `distance` places after the next member; null if the round ends before it.
  const T* ahead(std::size_t distance) const {
    return distance < unvisited_ ? &members_[members_.size() - unvisited_ + distance].value : nullptr;
  }

 private:
  // Holds the value itself, so that a round reads one place in memory for each member.
  struct Member {
    T value;
    Lease* lease;
  };

  void remove(std::size_t hole) {
    // If the hole is among the visited members, the last visited member fills it, which makes a new hole.
    // Then the last member of the list fills the hole.
    const auto fill_from = [&](std::size_t last) {
      if (last == hole) return;
      members_[hole] = std::move(members_[last]);
      members_[hole].lease->index_ = hole;
      hole = last;
    };
    const std::size_t visited = members_.size() - unvisited_;
    if (hole < visited) {
      fill_from(visited - 1);
    } else {
      --unvisited_;
    }
    fill_from(members_.size() - 1);
    members_.pop_back();
    if (!members_.empty()) return;
    const auto on_empty = on_empty_;  // a copy, because the list may die in the call
    on_empty();
  }

  std::function<void()> on_empty_;
  std::vector<Member> members_;
  std::size_t unvisited_ = 0;  // how many members the round has not visited; they stand last
};

// A function that is called at most once, and never after its lease has died.  The function's caller owns the
// LeasedCall; the object that wants the call owns the lease.  Either may die first.
template <typename... Arguments>
class LeasedCall {
 public:
  using Function = std::function<void(Arguments...)>;

  class Lease {
   public:
    Lease() = default;
    Lease(Lease&&) noexcept = default;
    // The function of the previous lease will no longer be called.
    Lease& operator=(Lease other) noexcept {
      std::swap(function_, other.function_);
      return *this;
    }
    // Clears *function_ first, because destroying the function may destroy other leases.
    ~Lease() {
      if (function_ != nullptr) const Function cleared = std::exchange(*function_, nullptr);
    }

    // True until the call begins or the LeasedCall dies.
    bool under_way() const { return function_ != nullptr && *function_; }

   private:
    friend class LeasedCall;
    explicit Lease(std::shared_ptr<Function> function) : function_(std::move(function)) {}
    std::shared_ptr<Function> function_;
  };

  explicit LeasedCall(Function function) : own_(std::make_shared<Function>(std::move(function))) {}

  // Call this once.
  [[nodiscard]] Lease lease() { return Lease(own_.function_); }
  // True while the lease lives and the call has not begun.
  bool wanted() const { return own_.under_way(); }
  // The function may destroy the lease.
  void operator()(Arguments... arguments) {
    if (const Function function = std::exchange(*own_.function_, nullptr)) function(arguments...);
  }

 private:
  Lease own_;  // shares the function with the lease from lease(); either clears it
};

}  // namespace tailgate
