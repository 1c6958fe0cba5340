#include "tests/fuzz/fixture.h"

#include <fstream>
#include <iterator>

#include "tests/fuzz/target.h"

namespace tailgate::testing {

std::string whole_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  must(file.is_open(), "the program runs in the root of the repository");
  return {std::istreambuf_iterator<char>(file), {}};
}

const ConfigSources& generous_sources() {
  static const ConfigSources sources{.env = [](const std::string& name) -> std::optional<std::string> {
                                       if (name.starts_with("TAILGATE_")) return std::nullopt;
                                       if (name.find("CLERK") != std::string::npos)
                                         return "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k";
                                       if (name.find("REDIS") != std::string::npos)
                                         return "redis://localhost";
                                       return "0123456789abcdef0123456789abcdef";
                                     },
                                     .read_file = [](const std::string&) -> Result<std::string> {
                                       return std::string("fedcba9876543210fedcba9876543210\n");
                                     }};
  return sources;
}

const Config& shipped_config() {
  static const std::shared_ptr<const Config> config = [] {
    auto loaded =
        load_config(whole_file("deploy/all-three.toml"), "deploy/all-three.toml", {}, generous_sources());
    if (!loaded) throw Broken("the shipped configuration is valid: " + loaded.error());
    return *loaded;
  }();
  return *config;
}

const Route& shipped_route(std::string_view name) {
  for (const Route& route : shipped_config().routes) {
    if (route.name == name) return route;
  }
  throw Broken("the shipped configuration has the route");
}

}  // namespace tailgate::testing
