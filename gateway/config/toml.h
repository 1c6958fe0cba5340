// Parses TOML into flat settings.
//
// Pure.  No other file includes the TOML library.
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
  std::string text;
};

// Every table, list of tables and value of `text`.  A table comes before its own keys.
std::variant<FlatToml, TomlError> flatten_toml(std::string_view text);

// Parses "<key> = <value>".  Returns nothing if `value` is not one TOML value.
std::optional<FlatToml> flatten_toml_value(std::string_view key, std::string_view value);

}  // namespace tailgate
