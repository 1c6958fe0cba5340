// Message: an SSE event or comment whose text comes from the configuration.
//
// Pure.  Knows SSE and JSON; knows no record and no route.  A template is JSON or text with ${name} for
// values.  Values are JSON, so a rendered JSON template is JSON again, and no value can forge an SSE field or
// event.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/result.h"

namespace tailgate {

// Names with their values as JSON.  They are so few that find() scans them.
class Values {
 public:
  Values() = default;
  Values(std::initializer_list<std::pair<std::string, std::string>> entries);

  // Replaces an earlier value of `name`.
  void set(std::string_view name, std::string json);
  void set_all(const Values& others);
  // Null if `name` has no value.  The next set() invalidates the pointer.
  const std::string* find(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
};

// A compiled text with ${names}.
class Template {
 public:
  // Refuses a ${name} that is not in `known` and an unclosed "${".
  static Result<Template> compile(std::string_view text, const std::vector<std::string>& known);
  // Also refuses a text that is not JSON when a JSON value replaces each ${name}.
  static Result<Template> compile_json(std::string_view text, const std::vector<std::string>& known);

  // Inserts each value as JSON; `null` for a name without a value.
  std::string render_json(const Values& values) const;
  // Inserts strings without quotes and escapes, and other values as JSON.
  std::string render_text(const Values& values) const;
  // True if the text holds ${name}.
  bool mentions(std::string_view name) const;

 private:
  struct Piece {
    std::string text;  // a literal text, or the name in ${name}
    bool is_name = false;
  };
  std::vector<Piece> pieces_;
};

class Message {
 public:
  // A comment: ": <text>".
  static Result<Message> comment(std::string_view text, const std::vector<std::string>& known);
  // An event with a JSON template as data.  Browsers call it "message" if `event` is empty.
  static Result<Message> event(std::string_view event, std::string_view data,
                               const std::vector<std::string>& known);
  // An event with plain text as data, for example "[DONE]".
  static Result<Message> text_event(std::string_view event, std::string_view text,
                                    const std::vector<std::string>& known);

  bool is_comment() const { return kind_ == Kind::kComment; }
  // True if the message holds ${name}.
  bool mentions(std::string_view name) const { return content_.mentions(name); }

  // Appends the frame.  A non-empty `id` becomes its last field and must be is_sse_name().  A comment has no
  // id.
  void append_to(std::string& out, const Values& values, std::string_view id = {}) const;

 private:
  enum class Kind { kComment, kJsonEvent, kTextEvent };

  static Result<Message> make(Kind kind, std::string_view event, Result<Template> content);

  Kind kind_ = Kind::kComment;
  std::string event_;
  Template content_;
};

}  // namespace tailgate
