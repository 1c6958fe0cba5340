// JSON parsed by nlohmann-json, which gateway/text/json.h is compared with.  They differ on purpose here:
//
//   input                           json.h         nlohmann-json 3.11
//   a lone surrogate escape         U+FFFD         refused
//   ill-formed UTF-8 in a string    U+FFFD         refused
//   a number beyond a double        passed on      refused
//   a byte order mark in front      refused        skipped
//   a NUL behind the value          refused        taken for the end
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace tailgate::testing {

// A copy of `text` in which each part that only nlohmann-json refuses is replaced by an accepted part.
std::string without_differences(std::string_view text);
// True if json.h must refuse `text` although nlohmann-json may accept it.
bool only_we_refuse(std::string_view text);
// The parsed value; nothing if nlohmann-json or json.h must refuse `text`.
std::optional<nlohmann::json> reference_json(std::string_view text);

}  // namespace tailgate::testing
