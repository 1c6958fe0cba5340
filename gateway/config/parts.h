// The parts of load_config(), one room for each table of the configuration.
//
// Pure.  Each reads checked settings into a Config and complains of what breaks a rule; what
// it leaves in the Config then is never used.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/config/settings.h"

namespace tailgate {

void read_redis(Settings& settings, const ConfigSources& sources, Config& config);
void read_providers(Settings& settings, const ConfigSources& sources, Config& config);
void read_records(Settings& settings, Config& config);
// Needs the providers and records.
void read_routes(Settings& settings, Config& config);

// What the environment variable `name` holds, which `key` asks for; else a finding is written.
std::optional<std::string> read_variable(Settings& settings, std::string_view key, const std::string& name,
                                         const ConfigSources& sources);
// What the file at `path` holds, without the line end at its end; else a finding is written.
std::optional<std::string> read_secret_file(Settings& settings, std::string_view key, const std::string& path,
                                            const ConfigSources& sources);

// "{job_id}" and its like: the first place in `text` that is not {id}, or empty.
std::string unknown_place(std::string_view text);

// The names that every message may use, whatever its record.
const std::vector<std::string>& names_taken();

}  // namespace tailgate
