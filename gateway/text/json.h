// Json: reading and writing JSON texts without building a tree.
//
// Pure.  One pass validates a text and finds the members of its outermost object as slices of it, so a
// payload can be passed on exactly as it was published.  Nothing recurses, nothing throws.
// RFC 8259, read as browsers read it: lone surrogate escapes and ill-formed UTF-8 inside strings are accepted
// (to_utf8() replaces them), and numbers have no bound.  A text nested more than 256 deep is refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tailgate {

// `text` as a JSON string with its quotes, in valid UTF-8 (U+FFFD replaces ill-formed parts).  Control
// characters are escaped, so the string holds no CR, LF or NUL.
std::string json_quote(std::string_view text);
// Appends the same to `out`.
void append_json_quoted(std::string& out, std::string_view text);

// The text of a JSON string, as valid UTF-8.  Precondition: is_json(json), and it begins with a quote.
std::string json_unquote(std::string_view json);

// A member of an object that is being written: its name as text, its value as JSON.
struct JsonMember {
  std::string_view name;
  std::string_view json;
};
// "{"name":json,...}" in the given order.
std::string json_object(const std::vector<JsonMember>& members);

bool is_json(std::string_view text);
// True if JSON.parse() reads the JSON number `number` as a finite number.  1e999 becomes Infinity.
bool is_finite_number(std::string_view number);

struct JsonValue {
  enum class Kind { kNull, kBoolean, kNumber, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  std::string_view raw;  // a slice of the text, without space around it

  bool is_string() const { return kind == Kind::kString; }
  // The unquoted text of a string; the unchanged JSON text of any other value.
  std::string text() const;
};

// Nothing if `text` is not one JSON value.  `raw` points into `text`.
std::optional<JsonValue> parse_json(std::string_view text);

// The elements of a JSON array, as slices of it.  Precondition: parse_json() found it to be an array.
std::vector<JsonValue> json_elements(std::string_view array);

// The members of a JSON object.
class Members {
 public:
  // Replaces the members by those of `text`, and returns true, if `text` is one JSON object.  Otherwise there
  // are none.  `text` must outlive the slices.  Reading again reuses the memory.
  bool read(std::string_view text);

  // The last member called `name`, as JSON.parse() picks it, or null.  Lives until the next read().
  const JsonValue* find(std::string_view name) const;
  // The text of that member; nothing if there is none or if it is not a string.
  std::optional<std::string> text_of(std::string_view name) const;

  struct Member {
    std::string_view raw_name;  // with its quotes
    JsonValue value;
    bool plain = false;  // the name needs no unquoting: it is the text between its quotes
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
