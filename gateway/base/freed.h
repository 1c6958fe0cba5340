// Freed: the deleter of a unique_ptr to a C library's object.
//
// Pure.
#pragma once

namespace tailgate {

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* handle) const {
    kFree(handle);
  }
};

}  // namespace tailgate
