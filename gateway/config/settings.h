// Settings: what the configuration says, key by key, where it says so, and all that is wrong with it.
//
// Pure.  Flat: "route.events.hello[0].event".  Knows the option table and TOML's types; knows
// no rule that joins two keys (config_*.cc have those).  Filled first, then check()ed, then read.
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

#include "gateway/base/result.h"
#include "gateway/config/options.h"

namespace tailgate {

struct Setting {
  struct Table {};
  struct TableList {
    std::size_t size = 0;
  };
  // What no option can be, like a date.
  struct Other {
    std::string name;
  };
  using Value = std::variant<Table, TableList, std::string, std::int64_t, double, bool,
                             std::vector<std::string>, Other>;

  Value value;
  int line = 0;          // in the file; 0: from elsewhere
  std::string origin{};  // from elsewhere: "--set key=value", "environment NAME"
  bool broken = false;   // its finding is written, and readers get the default
};

class Settings {
 public:
  explicit Settings(std::string file_name) : file_name_(std::move(file_name)) {}

  // Adds what a TOML text says.  False: it is no TOML, and the one finding says where.
  bool add_toml(std::string_view text);
  // Replaces `key` and what is below it.  `text` is a TOML value; anything else, and any text where the
  // option is one, is taken as it stands.  Those that exclude `key` give way.
  void replace(std::string_view key, std::string_view text);
  // The same with a value from an environment variable.
  void replace_from_environment(std::string_view key, Setting::Value value, std::string_view variable);

  // Holds every key against the option table: unknown names, wrong types, bounds, characters.
  void check();

  bool has(std::string_view key) const { return settings_.find(key) != settings_.end(); }
  // The user's names in a table ("route"), in the order of the file.
  std::vector<std::string> names_in(std::string_view table) const;
  // The keys of options that are set below `table`.
  std::vector<std::string> keys_below(std::string_view table) const;
  // How many tables the list at `key` has.
  std::size_t size_of(std::string_view key) const;

  // What `key` is set to, else its option's default, else an empty value.
  std::string text(std::string_view key) const;
  std::vector<std::string> texts(std::string_view key) const;  // one text is a list of one
  std::int64_t integer(std::string_view key) const;
  bool boolean(std::string_view key) const;
  std::chrono::milliseconds duration(std::string_view key) const;
  // A scalar as JSON text; "null" if not set.
  std::string json(std::string_view key) const;

  // Writes a finding, unless check() wrote one about the value of `key`.
  void add_error(std::string_view key, const std::string& rule);
  void add_error_of(std::string_view key, const Status& status) {
    if (!status) add_error(key, status.error());
  }
  // `key` must be set: true, or a finding is written (unless a key that is unknown looks like it,
  // misspelled).
  bool require(std::string_view key);
  // Is the table at `key` none of the file's, and does what else is set of it lack one of the `needed`?
  // Then a finding says so: most likely its name is misspelled, and nothing else need be said of it.
  bool is_fragment(std::string_view key, std::initializer_list<std::string_view> needed);
  // Is there a finding about `key` or what is below it?  A rule that joins two keys holds its peace then:
  // what it would say may only follow from the first fault.
  bool has_error_below(std::string_view key) const;
  // Does a key that is unknown look like `key`, misspelled?
  bool is_misspelled(std::string_view key) const { return meant_.find(key) != meant_.end(); }

  bool is_sound() const { return findings_.empty(); }
  // One line each, those about the file first and in its order.
  std::string findings() const;

 private:
  struct Finding {
    int line = 0;
    std::string text;
  };

  void put(std::string key, Setting setting);
  void make_way_for(std::string_view key, const Setting& setting);
  void check_value(const std::string& key, Setting& setting);
  const Setting* find(std::string_view key) const;
  Setting::Value value_of(std::string_view key) const;

  std::string file_name_;
  std::map<std::string, Setting, std::less<>> settings_;
  std::vector<Finding> findings_;
  std::set<std::string, std::less<>> keys_with_error_;  // the keys that findings are about
  std::set<std::string, std::less<>> meant_;            // what unknown keys were probably meant to be
};

}  // namespace tailgate
