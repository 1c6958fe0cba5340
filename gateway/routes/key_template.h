// KeyTemplate: a text in which {name} stands for a named segment of a request's path, as in "job:{id}:logs".
//
// Pure.  Keys in Redis and paths of status endpoints are such texts.  "{{" and "}}" stand for braces:
// "{{bull}}:job:{id}" is the key "{bull}:job:7".
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/result.h"

namespace tailgate {

// The named segments of one request's path.  No value holds a "/".
struct Segments {
  const std::vector<std::string>& names;  // in the order of the path
  std::string_view values;                // in the same order, joined by "/"

  // The value of the segment `names[index]`, a view into `values`.
  std::string_view value(std::size_t index) const;
  // The value of the segment `name`; empty if there is none.
  std::string_view value(std::string_view name) const;
};

// True for a lower-case letter that is followed by up to 39 lower-case letters, digits and "_".
bool is_segment_name(std::string_view text);

// What the values of a route's named segments look like.
struct SegmentRules {
  // True if a value of the segment `name` may hold `c`.
  std::function<bool(std::string_view name, char c)> can_hold;
  // The form of every value of the segment `name`: a "-" stands for itself, and each other character for one
  // that the value can hold.  Empty if the values have several lengths.
  std::function<std::string_view(std::string_view name)> form;
};

class KeyTemplate {
 public:
  // Refuses a brace that is neither doubled nor a part of a {name}.  Also refuses "${name}", which only
  // messages use.
  static Result<KeyTemplate> compile(std::string_view text);

  // As given to compile().
  const std::string& text() const { return text_; }
  // The names that the text uses, each once.
  const std::vector<std::string>& names() const { return names_; }
  // True if the text holds "{{name}}", which stands for the literal text "{name}" and not for the segment.
  bool has_in_braces(std::string_view name) const;

  // Two neighbouring names whose values cannot be told apart in the expanded text, because nothing between
  // them marks where the first value ends.  Then "a-b" and "c" may give the same text as "a" and "b-c".
  // Nothing if there are no such names.  If a name has a form, the length of its values marks the end.
  std::optional<std::pair<std::string, std::string>> joined_names(const SegmentRules& rules) const;

  // The text with the segment's value in place of each {name}.  Precondition: `segments` has all names().
  std::string expand(const Segments& segments) const;
  // The text with `value` in place of every {name}.
  std::string expand_all(std::string_view value) const;
  // The same as expand(), with percent-encoded values and braces, for the path or the query of a URL.
  std::string expand_url(const Segments& segments) const;

 private:
  struct Piece {
    std::string text;  // a literal text, or a name
    bool is_name = false;
  };

  // What an expanded text can hold in one place.
  struct Place {
    char literal = 0;       // if `name` is empty: this character
    std::string_view name;  // if not empty: a character of this segment's value
    bool repeats = false;   // there may be several such characters
  };

  template <typename ValueOf>
  std::string expanded(const ValueOf& value_of) const;
  std::vector<Place> places(const SegmentRules& rules) const;
  friend std::optional<std::string> common_text(const KeyTemplate& a, const SegmentRules& rules_of_a,
                                                const KeyTemplate& b, const SegmentRules& rules_of_b);

  std::string text_;
  std::vector<Piece> pieces_;
  std::vector<std::string> names_;
};

// A text to which both templates can expand.  Nothing if there is none.  Values without a form may have any
// length.
std::optional<std::string> common_text(const KeyTemplate& a, const SegmentRules& rules_of_a,
                                       const KeyTemplate& b, const SegmentRules& rules_of_b);

}  // namespace tailgate
