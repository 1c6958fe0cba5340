// Result: a value, or the sentence that says why there is none.
//
// Pure.  For failures that are expected: bad input, bad configuration.  What is impossible
// dies; nothing here throws.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace tailgate {

// A sentence for a person: what is wrong with which thing.  No trailing full stop, no newline.
struct Error {
  std::string what;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)  // NOLINT(google-explicit-constructor)
      : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error)  // NOLINT(google-explicit-constructor)
      : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }

  // Precondition of the first four: there is a value.
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  // Precondition: there is none.
  const std::string& error() const { return std::get<1>(state_).what; }

 private:
  std::variant<T, Error> state_;
};

// The same for what succeeds without a value.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error.what)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return !error_.has_value(); }
  const std::string& error() const {
    assert(error_);
    return *error_;
  }

 private:
  std::optional<std::string> error_;
};

}  // namespace tailgate
