// Message: one SSE event or comment that we write ourselves, as the configuration words it.
//
// Pure.  Knows SSE bytes and JSON text; knows no record, no route, no socket.
// A template's data is JSON with ${name} where a value goes; the values are JSON texts, so what comes
// out is JSON again, and nothing in a value can forge a field or an event.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/result.h"

namespace tailgate {

// Names with their values as JSON text.  Few enough that a scan beats a map; a later set() of a name
// replaces the earlier one.
class Values {
 public:
  Values() = default;
  Values(std::initializer_list<std::pair<std::string, std::string>> entries);

  void set(std::string_view name, std::string json);
  void set_all(const Values& others);
  // Null if the name has no value.  The pointer lives until the next set().
  const std::string* find(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
};

// A text with ${name} in it, compiled.
class Template {
 public:
  // Refuses an unknown name, naming it, and an unclosed "${".
  static Result<Template> compile(std::string_view text, const std::vector<std::string>& known);
  // The same for a text that must be JSON whatever JSON value stands in the place of each ${name}.
  static Result<Template> compile_json(std::string_view text, const std::vector<std::string>& known);

  // As JSON text: each value as it is, `null` where it has none.
  std::string render_json(const Values& values) const;
  // As plain text: a JSON string without its quotes and escapes, anything else as its JSON text.
  std::string render_text(const Values& values) const;
  bool names(std::string_view name) const;

 private:
  struct Piece {
    std::string literal;  // or, if `is_name`, the name
    bool is_name = false;
  };
  std::vector<Piece> pieces_;
};

class Message {
 public:
  // A comment line: ": <text>".
  static Result<Message> comment(std::string_view text, const std::vector<std::string>& known);
  // An event; `event` may be empty (then the browser calls it "message").  `data` must be JSON once
  // every ${name} is replaced by a JSON value.
  static Result<Message> event(std::string_view event, std::string_view data,
                               const std::vector<std::string>& known);
  // The same with data that is plain text, as in "[DONE]"; values stand in it as render_text() has them.
  static Result<Message> text_event(std::string_view event, std::string_view text,
                                    const std::vector<std::string>& known);

  bool is_comment() const { return kind_ == Kind::kComment; }
  // Does what it says depend on the value of `name`?
  bool names(std::string_view name) const { return content_.names(name); }

  // Appends the whole block, ended by an empty line.  `id`, unless empty, becomes the block's last
  // field; it holds no CR, LF or NUL.  A comment has no fields and ignores it.
  void append_to(std::string& out, const Values& values, std::string_view id = {}) const;

 private:
  enum class Kind { kComment, kJsonEvent, kTextEvent };

  static Result<Message> make(Kind kind, std::string_view event, Result<Template> content);

  Kind kind_ = Kind::kComment;
  std::string event_;
  Template content_;
};

}  // namespace tailgate
