// One program for all targets: `fuzz --target=NAME [libFuzzer's options] [corpora]`, or `fuzz --list`.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/fuzz/fixture.h"
#include "tests/fuzz/target.h"

namespace {

const tailgate::testing::Target* chosen = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view kOption = "--target=";
  for (int i = 1; i < *argc; ++i) {
    const std::string_view argument = (*argv)[i];
    for (const auto& target : tailgate::testing::all_targets()) {
      if (argument == "--list") std::puts(target.name);
      if (argument.starts_with(kOption) && argument.substr(kOption.size()) == target.name) chosen = &target;
    }
    if (argument == "--list") std::exit(0);
  }
  if (chosen == nullptr) {
    std::fputs("fuzz: --target=NAME must name one of the targets (--list)\n", stderr);
    std::exit(2);
  }
  // Loaded before the first input: on a slow machine libFuzzer would report that input as a timeout.
  (void)tailgate::testing::shipped_config();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  chosen->run({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
