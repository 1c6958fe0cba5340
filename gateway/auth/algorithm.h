// Algorithm: the signature algorithms of tokens and their names in JOSE.
//
// Pure.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tailgate {

enum class Algorithm : std::uint8_t {
  kRS256,
  kRS384,
  kRS512,
  kPS256,
  kES256,
  kES384,
  kEdDSA,
  kHS256,
  kHS384,
  kHS512
};

// The names of RFC 7518 section 3.1 and RFC 8037 section 3.1, in the order of the enumerators.
inline constexpr std::array<std::string_view, 10> kAlgorithmNames = {
    "RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA", "HS256", "HS384", "HS512"};

// The algorithm with exactly this name; nothing for any other name.
constexpr std::optional<Algorithm> algorithm_named(std::string_view name) {
  const auto* const found = std::ranges::find(kAlgorithmNames, name);
  if (found == kAlgorithmNames.end()) return std::nullopt;
  return static_cast<Algorithm>(found - kAlgorithmNames.begin());
}

constexpr std::string_view name_of(Algorithm algorithm) {
  return kAlgorithmNames.at(static_cast<std::size_t>(algorithm));
}

// True for HS256, HS384 and HS512, which use a shared secret.
constexpr bool is_symmetric(Algorithm algorithm) {
  return algorithm >= Algorithm::kHS256;
}

}  // namespace tailgate
