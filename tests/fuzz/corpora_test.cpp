// Runs each fuzz target over its kept corpus, without a fuzzer.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/target.h"

namespace tailgate::testing {
namespace {

class Corpus : public ::testing::TestWithParam<Target> {};

TEST_P(Corpus, BreaksNoRule) {
  const Target& target = GetParam();
  const std::filesystem::path folder = std::filesystem::path("tests/fuzz/corpus") / target.name;
  ASSERT_TRUE(std::filesystem::is_directory(folder))
      << folder << " (run the tests in the root of the repository)";
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string input(std::istreambuf_iterator<char>(file), {});
    ++inputs;
    try {
      target.run(input);
    } catch (const std::exception& broken) {
      ADD_FAILURE() << entry.path() << ": broken rule: " << broken.what();
    }
  }
  EXPECT_GT(inputs, 0);
}

std::string name_of_target(const ::testing::TestParamInfo<Target>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Fuzz, Corpus, ::testing::ValuesIn(all_targets().begin(), all_targets().end()),
                         name_of_target);

}  // namespace
}  // namespace tailgate::testing
