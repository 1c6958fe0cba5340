// Toml: a TOML text as flat settings.
//
// Pure.  The one place that knows the TOML library.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/config/settings.h"

namespace tailgate {

using FlatToml = std::vector<std::pair<std::string, Setting>>;

struct TomlError {
  int line = 0;
  std::string what;
};

// Every table, list of tables and value of `text`, outer ones first.
std::variant<FlatToml, TomlError> flatten_toml(std::string_view text);

// The same for one value, as if it stood behind "<key> = "; nothing if it is no TOML value.
std::optional<FlatToml> flatten_toml_value(std::string_view key, std::string_view value);

}  // namespace tailgate
