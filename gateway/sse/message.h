// Message: an SSE event or comment whose text comes from the configuration.
//
// Pure.  Knows SSE and JSON; knows no record and no route.  In a template, ${name} stands for a value.
// Values are JSON, so a rendered JSON template is JSON again.  No value can forge an SSE field or event.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/result.h"

namespace tailgate {

// Names with their values as JSON.
using Values = std::map<std::string, std::string, std::less<>>;

// A compiled text with ${names}.
class Template {
 public:
  // Refuses an unclosed "${", and a ${name} that is not in `known`.
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
  enum class Kind {
    kComment,    // ": <text>"
    kJsonEvent,  // an event whose data are a JSON template
    kTextEvent,  // an event whose data are plain text, for example "[DONE]"
  };

  // Browsers read an empty `event` as "message".  A comment ignores `event`.  Fails unless
  // is_sse_name(event).  Fails if Template refuses `text`.  Fails if a comment or a plain text writes a name
  // of `known` as {name}, which is the spelling of keys.
  static Result<Message> make(Kind kind, std::string_view event, std::string_view text,
                              const std::vector<std::string>& known);

  // True if the message holds ${name}.
  bool mentions(std::string_view name) const { return content_.mentions(name); }

  // Appends the frame.  A non-empty `id` becomes the last field; it must pass is_sse_name().  A comment
  // ignores `id`.
  void append_to(std::string& out, const Values& values, std::string_view id = {}) const;

 private:
  Kind kind_ = Kind::kComment;
  std::string event_;
  Template content_;
};

}  // namespace tailgate
