// Json: reading and writing JSON texts without building a tree.
//
// Pure.  One pass validates a text and finds the members of its outermost object.  The members are slices of
// the text, so a payload can be passed on unchanged.  No function recurses or throws.  Follows RFC 8259 as
// browsers do.  Strings may hold lone surrogate escapes and ill-formed UTF-8; json_unquote() replaces both.
// Numbers may have any size, and values may nest to any depth.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tailgate {

// `text` as a JSON string with its quotes, in valid UTF-8 (U+FFFD replaces ill-formed parts).  Control
// characters are escaped, so the string holds no CR, LF or NUL.
std::string json_quote(std::string_view text);
void append_json_quoted(std::string& out, std::string_view text);

// The text of a JSON string, as valid UTF-8.  Precondition: `json` is a valid JSON string.
std::string json_unquote(std::string_view json);

// A member of an object that is being written: its name as text, its value as JSON.
struct JsonMember {
  std::string_view name;
  std::string_view json;
};
// The object {"name":json,...} with the members in the given order.
std::string json_object(const std::vector<JsonMember>& members);

bool is_json(std::string_view text);
// False for a JSON number, such as 1e999, that JSON.parse() reads as Infinity.
bool is_finite_number(std::string_view number);

struct JsonValue {
  enum class Kind { kNull, kBoolean, kNumber, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  std::string_view raw;  // a slice of the parsed text, trimmed

  bool is_string() const { return kind == Kind::kString; }
  // The unquoted text of a string; the unchanged JSON text of any other value.
  std::string text() const;
};

// Nothing if `text` is not one JSON value.  `raw` points into `text`.
std::optional<JsonValue> parse_json(std::string_view text);

// The elements of a JSON array, as slices of `array`.  Precondition: `array` is a valid JSON array.
std::vector<JsonValue> json_elements(std::string_view array);

// The members of a JSON object.
class Members {
 public:
  // If `text` is one JSON object, holds its members and returns true.  Otherwise holds no members and returns
  // false.  `text` must outlive the members.  Reading again reuses the memory.
  bool read(std::string_view text);

  // The last member called `name`, as in JSON.parse(), or null.  Valid until the next read().
  const JsonValue* find(std::string_view name) const;
  // The text of the member find(name); nothing unless it is a string.
  std::optional<std::string> text_of(std::string_view name) const;

  struct Member {
    std::string_view raw_name;  // with its quotes
    JsonValue value;
    bool plain = false;  // the name is exactly the bytes between the quotes
    std::string name() const;
  };
  // True if two names are equal after unquoting.
  bool has_duplicates() const;
  // In the order of the text, duplicates included.
  const std::vector<Member>& all() const { return members_; }

 private:
  std::vector<Member> members_;
};

}  // namespace tailgate
