// Algorithm: the signature algorithms of tokens and their names in JOSE.
//
// Pure.
#pragma once

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

// The names of RFC 7518 section 3.1 and RFC 8037 section 3.1, in their exact spelling.
std::optional<Algorithm> algorithm_named(std::string_view name);
std::string_view name_of(Algorithm algorithm);

// True for HS256, HS384 and HS512, which use a shared secret.
bool is_symmetric(Algorithm algorithm);

}  // namespace tailgate
