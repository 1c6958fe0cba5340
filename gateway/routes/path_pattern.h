// PathPattern: the path of a route, with up to two named segments; IdRule: what an {id} looks like.
//
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/result.h"

namespace tailgate {

// Which texts a named segment matches.
class IdRule {
 public:
  enum class Form {
    kSegment,  // 1 to 128 of [A-Za-z0-9._-] and further characters
    kUuid,     // 8-4-4-4-12 hexadecimal digits, in either case
    kInt,      // 1 to 20 digits
  };

  IdRule() = default;  // kSegment, without further characters
  // `further_chars` are for kSegment.  Refuses characters that mean something in a URL's path or in a key
  // template, and those that a text in quotes must escape.
  static Result<IdRule> make(Form form, std::string_view further_chars);

  // Never true for "." and "..", which would change the path of a request to a status endpoint.
  bool fits(std::string_view text) const;
  // False if no text that fits holds `c`.
  bool can_hold(char c) const;
  bool operator==(const IdRule&) const = default;

 private:
  Form form_ = Form::kSegment;
  std::string punctuation_ = "-._";
};

// A path of literal segments, with {name} in place of at most two segments.
class PathPattern {
 public:
  // `text` must begin with "/", have no empty, "." or ".." segment, and use no {name} twice.  `ids` applies
  // to {id}.  All other named segments match [A-Za-z0-9._-]{1,128}.
  static Result<PathPattern> compile(std::string_view text, bool trailing_slash, IdRule ids = {});

  // Returns the values of the named segments, joined by "/", if `path` matches.  `path` is not decoded and
  // has no query.  Segments are decoded one by one, so a value never holds a "/".
  std::optional<std::string> match(std::string_view path) const;
  const std::string& text() const { return text_; }
  // The names of the named segments, in the order of the path.
  const std::vector<std::string>& names() const { return names_; }
  const IdRule& ids() const { return ids_; }
  // False if no value of the segment `name` holds `c`.
  bool value_can_hold(std::string_view name, char c) const;
  bool trailing_slash() const { return trailing_slash_; }

 private:
  friend bool overlap(const PathPattern& a, const PathPattern& b);
  struct Segment {
    std::string text;  // a literal text, or a name
    bool is_name = false;
  };

  const IdRule& rule_of(std::string_view name) const;
  // True if the pattern matches exactly one path.
  bool is_one_path() const { return names_.empty() && !trailing_slash_; }

  std::string text_;
  std::vector<Segment> segments_;
  std::vector<std::string> names_;
  IdRule ids_;
  bool trailing_slash_ = false;
};

// True if the gateway or nginx may find that a path matches both `a` and `b`.  nginx takes any text for a
// named segment, unless another route has exactly that path.
bool overlap(const PathPattern& a, const PathPattern& b);

}  // namespace tailgate
