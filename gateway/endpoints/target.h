// Target: path and query of a request target.
//
// Pure.
#pragma once

#include <string_view>

namespace tailgate {

struct Target {
  std::string_view path;
  std::string_view query;  // without the "?"
};

// Path and query are views into `target`, which is in origin form.
inline Target split_target(std::string_view target) {
  const std::size_t mark = target.find('?');
  if (mark == std::string_view::npos) return {target, {}};
  return {target.substr(0, mark), target.substr(mark + 1)};
}

}  // namespace tailgate
