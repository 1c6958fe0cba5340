// Result: a value, or a sentence that says why there is none.
//
// Pure.  For expected failures, such as bad input or a bad configuration.
#pragma once

#include <concepts>
#include <string>
#include <utility>
#include <variant>

namespace tailgate {

// A sentence for people: names the thing and its fault, without a full stop or newline.
struct Error {
  std::string message;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result() requires std::same_as<T, std::monostate> : state_(std::in_place_index<0>) {}
  Result(T value)  // NOLINT(google-explicit-constructor)
      : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error)  // NOLINT(google-explicit-constructor)
      : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }

  // Precondition: there is a value.
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  // Precondition: there is no value.
  const std::string& error() const { return std::get<1>(state_).message; }

 private:
  std::variant<T, Error> state_;
};

// The result of an action that yields no value.
using Status = Result<std::monostate>;

}  // namespace tailgate
