// Json: JSON texts read and written without building a tree.
//
// Pure.  One pass validates a text and finds the members of its outermost object as slices of
// it, so a payload can be passed on exactly as it was published.  Nothing recurses, nothing throws.
// RFC 8259, read as browsers read it: a lone surrogate escape is accepted, as are ill-formed UTF-8
// bytes inside strings (to_utf8() mends them without touching the structure); numbers have no bound.
// Arrays and objects nested more than 256 deep are refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tailgate {

// `text` as a JSON string, quotes included: valid UTF-8 (U+FFFD for what was not), control characters
// escaped, no CR, LF or NUL.
std::string json_quote(std::string_view text);
// The same, behind what `out` holds.
void append_json_quoted(std::string& out, std::string_view text);

// What the JSON string `json` (quotes included) says, as valid UTF-8.  Precondition: is_json(json),
// and it begins with a quote.
std::string json_unquote(std::string_view json);

bool is_json(std::string_view text);
// Is all of `text` one JSON number, without space around it?
bool is_json_number(std::string_view text);
// Does a browser read `number` as a number?  1e999 is JSON, but JSON.parse() makes Infinity of it.
// Precondition: is_json_number(number).
bool is_finite_number(std::string_view number);

struct JsonValue {
  enum class Kind { kNull, kBoolean, kNumber, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  std::string_view raw;  // as it stands in the text, without space around it

  bool is_string() const { return kind == Kind::kString; }
  // Of a string what it says, of anything else its JSON text as it stands.
  std::string text() const;
};

// `text` as one JSON value, or nothing if it is not one.  `raw` points into it.
std::optional<JsonValue> parse_json(std::string_view text);

// The elements of a JSON array, as slices of it.  Precondition: parse_json() found it to be an array.
std::vector<JsonValue> json_elements(std::string_view array);

// The members of a JSON object.
class Members {
 public:
  // Forgets what it held and reads `text`; true if that is one JSON object.  Else it holds nothing.
  // `text` must outlive the slices.  Reading again reuses the memory.
  bool read(std::string_view text);

  // The last member called `name` (as JSON.parse has it), or null.  Lives until the next read().
  const JsonValue* find(std::string_view name) const;

  struct Member {
    std::string_view raw_name;  // with its quotes
    JsonValue value;
    bool plain = false;  // the name says just what stands between its quotes
    // What the name says.
    std::string name() const;
  };
  // Does one name stand there twice, however it is spelled?
  bool has_duplicates() const;
  // In the order of the text, duplicates included.
  const std::vector<Member>& all() const { return members_; }

 private:
  std::vector<Member> members_;
};

}  // namespace tailgate
