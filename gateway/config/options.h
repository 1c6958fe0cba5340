// Options: every key of the configuration, with its type, default, bounds and meaning.
//
// Pure.  The one table that drives parsing, defaults, `--print keys` and the check that each
// key is documented.  Knows no file and no value.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tailgate {

struct Option {
  enum class Type {
    kText,         // one line, no control characters
    kProse,        // any characters
    kChoice,       // one of `choices`
    kTexts,        // a list
    kTextOrTexts,  // one, or a list
    kBoolean,
    kInteger,
    kDuration,  // integer or float; the key's ending names the unit: _s or _ms
    kScalar,    // text, number or boolean
  };
  // Which kinds of routes an option of "route.*" is for.
  enum Sources : std::uint8_t { kChannel = 1, kLog = 2, kPages = 4, kStreams = 3, kAll = 7 };

  std::string_view key;  // "*" where the user's own name goes, "[]" where a place in a list does
  Type type;
  std::string_view fallback{};  // the default as TOML; empty: none, or one that depends on others
  std::string_view what{};      // its meaning, as a clause
  std::string_view choices{};   // "a|b|c"
  double min = 0;               // bounds of a number, in the key's own unit
  double max = 0;
  std::uint8_t sources = kAll;
  std::string_view group{};  // options of one table and one group exclude each other

  // What a value must be, as in "must be an integer from 1 to 65535".
  std::string rule() const;
};

std::span<const Option> options();

// The option that `key` ("route.events.hello[0].event") sets, or null.
const Option* find_option(std::string_view key);

enum class Shape { kUnknown, kValue, kTable, kTableList };
// What may stand at `key`.
Shape shape_of(std::string_view key);

// A user's own name at the end of `key` breaks the rule for names: that rule, else empty.
std::string_view broken_name_rule(std::string_view key);

// The last component of the nearest key that may stand in `key`'s place, or nothing if none is near.
std::string suggestion_for(std::string_view key);

}  // namespace tailgate
