// The same JSON text in the eyes of nlohmann-json, and where it differs from gateway/text/json.h on purpose.
//
//   what                            here           nlohmann-json 3.11
//   nested more than 256 deep       refused        accepted
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

// `text` with all in it that nlohmann-json alone would refuse replaced by something of the same kind.
std::string without_differences(std::string_view text);
// Must we refuse what nlohmann-json may accept?
bool only_we_refuse(std::string_view text);
// Nothing if nlohmann-json refuses `text`, or we alone must.
std::optional<nlohmann::json> reference_json(std::string_view text);

}  // namespace tailgate::testing
