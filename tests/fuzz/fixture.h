// For the fuzz targets: the example configuration of all three systems.
#pragma once

#include <string_view>

#include "gateway/config/config.h"

namespace tailgate::testing {

// deploy/all-three.toml, read once.  The program must run in the root of the repository.
const Config& shipped_config();
const Route& shipped_route(std::string_view name);

// Sources in which every environment variable and every file exists.
const ConfigSources& generous_sources();

std::string whole_file(const char* path);

}  // namespace tailgate::testing
