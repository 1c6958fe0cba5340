// Leases: tokens that end what they stand for when they die.
//
// Pure.  There are two kinds: a place in a list (LeaseList) and the wish to be called back (LeasedCall).  A
// lease can be moved and not copied.  One that was default-constructed or moved from stands for nothing.
#pragma once

#include <cassert>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace tailgate {

// A list without an order, whose members stay as long as their leases live.  It must outlive the leases.
template <typename T>
class LeaseList {
 public:
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept { take(other); }
    // The previous lease of this object ends.
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
    std::size_t index_ = 0;  // of this in the list
  };

  // `on_empty` is called when the last member has left.  It may destroy the list.
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
  // The member `distance` visits after the next one; null where the round ends before.
  const T* ahead(std::size_t distance) const {
    return distance < unvisited_ ? &members_[members_.size() - unvisited_ + distance].value : nullptr;
  }

 private:
  // The value stands beside its lease's address, so that a round reads one place for each member.
  struct Member {
    T value;
    Lease* lease;
  };

  void remove(std::size_t hole) {
    // The last visited member fills a hole before it, and the last of all fills the place that is left.
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
  std::size_t unvisited_ = 0;  // members that the round has yet to visit: the last ones
};

// A function that is called at most once, and never after its lease has died.  The object that will call it
// owns it; the object that wants the call owns the lease.  Either may die first.
template <typename... Arguments>
class LeasedCall {
 public:
  using Function = std::function<void(Arguments...)>;

  class Lease {
   public:
    Lease() = default;
    Lease(Lease&&) noexcept = default;
    // The function of the previous lease will not be called any more.
    Lease& operator=(Lease other) noexcept {
      std::swap(function_, other.function_);
      return *this;
    }
    // The function leaves its place before it is destroyed, because that may destroy other leases.
    ~Lease() {
      if (function_ != nullptr) const Function cleared = std::exchange(*function_, nullptr);
    }

    // True while the call can still come: it has not begun, and its maker lives.
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
  // Inside the function the lease may die.
  void operator()(Arguments... arguments) {
    if (const Function function = std::exchange(*own_.function_, nullptr)) function(arguments...);
  }

 private:
  Lease own_;  // shares the function with the lease that was given out; either clears it
};

}  // namespace tailgate
