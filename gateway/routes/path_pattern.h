// PathPattern: the path of a route, with up to two named segments; IdRule: the texts that a named segment
// matches.
//
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/result.h"
#include "gateway/routes/key_template.h"

namespace tailgate {

// The texts that one named segment matches.
class IdRule {
 public:
  enum class Form {
    kSegment,  // 1 to 128 of [A-Za-z0-9._-] and further characters
    kUuid,     // 8-4-4-4-12 hexadecimal digits; canonical() changes upper case to lower case
    kInt,      // 0, or 1 to 20 digits without a leading zero
  };

  IdRule() = default;  // kSegment, without further characters
  // `further_chars` are for kSegment.  Refuses characters that are not visible ASCII, that mean something in
  // a URL's path or in a key template, or that a text in quotes must escape.  Also refuses characters that
  // are allowed anyway or given twice.
  static Result<IdRule> make(Form form, std::string_view further_chars);

  // Never true for "." and "..", which would change the path of a request to a status endpoint.
  bool fits(std::string_view text) const;
  // The one spelling of an id in keys, messages and identities.  Precondition: `text` fits.
  std::string canonical(std::string_view text) const;
  // "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" for kUuid, else empty.
  std::string_view fixed_form() const;
  Form form() const { return form_; }
  // False if no canonical id holds `c`.
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
  // has no query.  Segments are decoded one by one, so a value never holds a "/".  An {id} is canonical().
  std::optional<std::string> match(std::string_view path) const;
  const std::string& text() const { return text_; }
  // The names of the named segments, in the order of the path.
  const std::vector<std::string>& names() const { return names_; }
  const IdRule& ids() const { return ids_; }
  // The rules refer to this PathPattern, which must outlive them.
  SegmentRules rules() const;
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

// True if some path matches both `a` and `b`, in the gateway or in nginx.  nginx's location for a named
// segment takes any text.  So the form of an id counts only if the other route has one fixed path, whose
// location nginx prefers.
bool overlap(const PathPattern& a, const PathPattern& b);

}  // namespace tailgate
