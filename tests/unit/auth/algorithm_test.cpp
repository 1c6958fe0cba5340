#include "gateway/auth/algorithm.h"

#include <gtest/gtest.h>

#include <utility>

namespace tailgate {
namespace {

TEST(Algorithm, HasTheNameOfItsEnumerator) {
  const std::pair<Algorithm, std::string_view> names[] = {
      {Algorithm::kRS256, "RS256"}, {Algorithm::kRS384, "RS384"}, {Algorithm::kRS512, "RS512"},
      {Algorithm::kPS256, "PS256"}, {Algorithm::kES256, "ES256"}, {Algorithm::kES384, "ES384"},
      {Algorithm::kEdDSA, "EdDSA"}, {Algorithm::kHS256, "HS256"}, {Algorithm::kHS384, "HS384"},
      {Algorithm::kHS512, "HS512"},
  };
  for (const auto& [algorithm, name] : names) {
    EXPECT_EQ(name_of(algorithm), name);
    EXPECT_EQ(algorithm_named(name), algorithm);
    EXPECT_EQ(is_symmetric(algorithm), name[0] == 'H');
  }
}

TEST(Algorithm, IsFoundByItsExactNameOnly) {
  for (const char* name : {"", "none", "rs256", "RS256 ", "HS", "ES512", "PS384", "EdDSA2"}) {
    EXPECT_FALSE(algorithm_named(name)) << name;
  }
}

}  // namespace
}  // namespace tailgate
