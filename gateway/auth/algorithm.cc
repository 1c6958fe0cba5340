#include "gateway/auth/algorithm.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace tailgate {

namespace {

// In the order of the enumerators.
constexpr std::array<std::string_view, 10> kNames = {"RS256", "RS384", "RS512", "PS256", "ES256",
                                                     "ES384", "EdDSA", "HS256", "HS384", "HS512"};

}  // namespace

std::optional<Algorithm> algorithm_named(std::string_view name) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Algorithm>(found - kNames.begin());
}

std::string_view name_of(Algorithm algorithm) {
  return kNames.at(static_cast<std::size_t>(algorithm));
}

bool is_symmetric(Algorithm algorithm) {
  return name_of(algorithm).starts_with("HS");
}

}  // namespace tailgate
