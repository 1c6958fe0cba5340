// The parts of load_config(): one function for each table of the configuration.
//
// Pure.  Each function copies checked settings into the Config and adds a finding for each broken rule.
// After a finding the Config is thrown away, so it may stay incomplete.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/config/settings.h"

namespace tailgate {

// The ${names} of messages that are neither a segment of the path nor a field of the record.
inline constexpr std::array<std::string_view, 7> kNamesOfMessages = {
    "status", "now", "route", "request_id", "connection_id", "max_age_s", "last_id"};

// The end of a finding about a template that holds "{{id}}".  There, "{{id}}" stands for the text "{id}", not
// for the value of id.
inline constexpr std::string_view kIdInBraces =
    "; {{ and }} stand for braces, so a value in braces is written as in {{{id}}}";

// Settings as seen from one table: every key is relative to `name`, for example "route.events".
class Section {
 public:
  Section(Settings& settings, std::string name) : settings_(settings), name_(std::move(name)) {}

  std::string at(std::string_view key) const { return name_ + '.' + std::string(key); }
  Settings& settings() const { return settings_; }
  const std::string& name() const { return name_; }
  bool has(std::string_view key) const { return settings_.has(at(key)); }
  // The `keys` that are set.
  std::vector<std::string> present(std::vector<std::string> keys) const {
    std::erase_if(keys, [this](const std::string& key) { return !has(key); });
    return keys;
  }
  std::string text(std::string_view key) const { return settings_.text(at(key)); }
  std::vector<std::string> texts(std::string_view key) const { return settings_.texts(at(key)); }
  template <typename T>
  T integer(std::string_view key) const {
    return static_cast<T>(settings_.integer(at(key)));
  }
  bool boolean(std::string_view key) const { return settings_.boolean(at(key)); }
  std::chrono::milliseconds duration(std::string_view key) const { return settings_.duration(at(key)); }

  bool has_error() const { return settings_.has_error_below(name_); }
  bool require(std::string_view key) const { return settings_.require(at(key)); }
  void add_error(std::string_view key, const std::string& rule) const { settings_.add_error(at(key), rule); }
  // Adds the finding `rule` about the table itself.
  void add_error(const std::string& rule) const { settings_.add_error(name_, rule); }
  // Adds the finding `rule` for each of `keys` that is set.
  void refuse(std::vector<std::string> keys, const std::string& rule) const {
    for (const std::string& key : present(std::move(keys))) add_error(key, rule);
  }
  // Returns the value of `result`, or adds its error as a finding about `key`.
  template <typename T>
  std::optional<T> checked(std::string_view key, Result<T> result) const {
    if (result) return std::move(*result);
    add_error(key, result.error());
    return std::nullopt;
  }

 private:
  Settings& settings_;
  std::string name_;
};

void read_providers(Settings& settings, const ConfigSources& sources, Config& config);
void read_records(Settings& settings, Config& config);
// Precondition: providers and records were read.
void read_routes(Settings& settings, Config& config);

// Adds a finding for each key that has no effect because of other tables.  Precondition: `config` is
// complete.
void check_effects(Settings& settings, const Config& config);

// Checks the rules about several keys of `route`.  Precondition: `route` has no finding yet.
void check_route(const Section& table, const Route& route);

// The value of the setting `key`.  If the key ends in "_env" or "_file", `text` names the environment
// variable or the file that holds the value; line ends at the file's end are cut.  Otherwise the value is
// `text`.  Adds a finding and returns nothing if the value is empty or cannot be read.
std::optional<std::string> resolve(const Section& table, std::string_view key, const std::string& text,
                                   const ConfigSources& sources);

}  // namespace tailgate
