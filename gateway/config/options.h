// Options: every key of the configuration, with its type, default, bounds and meaning.
//
// Pure.  The table kOptions in options.cc drives the checks of values, the defaults, `--print keys` and the
// check that deploy/reference.toml documents each key.
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
    kTextOrTexts,  // one text, or a list
    kBoolean,
    kInteger,
    kDuration,  // integer or float; the key's ending names the unit: _s or _ms
    kScalar,    // text, number or boolean
  };
  // The sources with which a "route.*" option has an effect.  Bit n stands for the Source whose value is n.
  enum Sources : std::uint8_t { kChannel = 1, kLog = 2, kPages = 4, kStreams = 3, kAll = 7 };

  std::string_view key;  // "*" is a name that the user chooses; "[]" is any element of a list
  Type type;
  std::string_view fallback{};  // the default as TOML; empty: no default, or it depends on other keys
  std::string_view what{};      // the meaning; follows "is missing: " in a finding
  std::string_view choices{};   // "a|b|c"
  double min = 0;               // the lowest number, in the key's unit
  double max = 0;               // the highest number
  std::uint8_t sources = kAll;
  std::string_view group{};  // at most one option of a group may be set in a table

  // The rule for values, for example "must be an integer from 1 to 65535".
  std::string rule() const;
};

std::span<const Option> options();

// The option that `key` sets, for example "route.events.hello[0].event".  Null if there is none.
const Option* find_option(std::string_view key);

enum class Shape { kUnknown, kValue, kTable, kTableList };
// The kind of value that `key` must have.
Shape shape_of(std::string_view key);

// The rule that the last name in `key` breaks.  Empty if it breaks none, or if the configuration's author
// does not choose that name.
std::string_view broken_name_rule(std::string_view key);

// The known name that is most similar to the last name in the unknown `key`.  Empty if none is similar.
std::string suggestion_for(std::string_view key);

}  // namespace tailgate
