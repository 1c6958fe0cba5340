// What the targets share: the example configuration of all three systems, as it ships.
#pragma once

#include <string_view>

#include "gateway/config/config.h"

namespace tailgate::testing {

// deploy/all-three.toml, read once.  The process runs in the root of the tree.
const Config& shipped_config();
const Route& shipped_route(std::string_view name);

// Sources of which every configuration finds what it asks for.
const ConfigSources& generous_sources();

std::string whole_file(const char* path);

}  // namespace tailgate::testing
