// Settings: the value of each configuration key, the place where it was set, and all findings.
//
// Pure.  options.cc declares the keys.  Keys are flat: "route.events.hello[0].event".  Checks each value
// against the option table; parts.h has the rules about several keys.  Call add_toml() and replace() first,
// then check(), and only then read values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/config/options.h"

namespace tailgate {

struct Setting {
  struct Table {};
  struct TableList {
    std::size_t size = 0;
  };
  // A type that no option has, for example a date.
  struct Other {
    std::string name;
  };
  using Value = std::variant<Table, TableList, std::string, std::int64_t, double, bool,
                             std::vector<std::string>, Other>;

  Value value;
  int line = 0;          // in the file; 0: not from the file
  std::string origin{};  // if not the file: "--set key=value" or "environment NAME"
  bool is_from_environment = false;
  bool broken = false;  // check() refused the value, so readers get the default
};

class Settings {
 public:
  explicit Settings(std::string file_name) : file_name_(std::move(file_name)) {}

  // Adds all keys of a TOML text.  Returns false and adds one finding if the text is not TOML.
  bool add_toml(std::string_view text);
  // Replaces `key`, all keys below it, and the other options of its group.  `text` is a TOML value.  The
  // value is `text` itself if `text` is not TOML, or if the option is a text and `text` is TOML of another
  // type, such as 404.
  void replace(std::string_view key, std::string_view text);
  // Like replace(), with the `value` of the environment variable `variable`.
  void replace_from_environment(std::string_view key, Setting::Value value, std::string_view variable);

  // Adds a finding for each unknown key and for each value whose type, bounds or characters are wrong.
  void check();

  bool has(std::string_view key) const { return settings_.find(key) != settings_.end(); }
  // True if replace_from_environment() has set `key`.
  bool is_from_environment(std::string_view key) const;
  // The names of the tables in `table`, in the order of the file: "events" for [route.events].
  std::vector<std::string> names_in(std::string_view table) const;
  // The keys below `table` that set an option.
  std::vector<std::string> keys_below(std::string_view table) const;
  // The number of tables in the list `key`.
  std::size_t size_of(std::string_view key) const { return get<Setting::TableList>(key).size; }

  // The value of `key`, or its option's default, or an empty value.
  std::string text(std::string_view key) const { return get<std::string>(key); }
  std::vector<std::string> texts(std::string_view key) const;  // a single text gives a list of one
  std::int64_t integer(std::string_view key) const { return get<std::int64_t>(key); }
  bool boolean(std::string_view key) const { return get<bool>(key); }
  std::chrono::milliseconds duration(std::string_view key) const;
  // A scalar as JSON; "null" if `key` is not set.
  std::string json(std::string_view key) const;

  // Adds the finding `rule` about `key`, unless check() has refused the value.
  void add_error(std::string_view key, const std::string& rule);
  // Adds the finding "is missing", unless has_error_below(key).
  void add_missing(std::string_view key);
  // Returns whether `key` is set; if not, calls add_missing().
  bool require(std::string_view key);
  // If --set made the table `key` without all of the keys `needed`, adds a finding and returns true.  Most
  // likely --set misspells the name of a table in the file, so the caller skips the table `key`.
  bool is_fragment(std::string_view key, std::initializer_list<std::string_view> needed);
  // True if there is a finding about `key`, about a key below it, or about an unknown key that is probably a
  // misspelling of either.  Callers then skip rules about several keys, which might only repeat the finding.
  bool has_error_below(std::string_view key) const;

  bool is_sound() const { return findings_.empty(); }
  // One finding per line: first those about the file, by line, then the others.
  std::string findings() const;

 private:
  // Removes `key`, all keys below it and the other options of its group; then makes the tables that contain
  // `key`.
  void clear_place(std::string_view key, const std::string& origin);
  void check_value(const std::string& key, Setting& setting);
  const Setting* find(std::string_view key) const;
  Setting::Value value_of(std::string_view key) const;
  template <typename T>
  T get(std::string_view key) const {
    const Setting::Value value = value_of(key);
    const T* held = std::get_if<T>(&value);
    return held != nullptr ? *held : T();
  }

  std::string file_name_;
  std::map<std::string, Setting, std::less<>> settings_;
  std::multimap<int, std::string> findings_;  // by line; findings not about the file come last
  bool has_more_findings_ = false;            // some were left out
  std::set<std::string, std::less<>> keys_with_error_;
};

}  // namespace tailgate
