#include "gateway/sse/message.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "gateway/sse/sse.h"
#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// The JSON value of `name`; "null" if there is none.
std::string_view json_of(const Values& values, std::string_view name) {
  const auto found = values.find(name);
  return found != values.end() ? std::string_view(found->second) : "null";
}

// The first name of `known` that `text` writes as {name} instead of ${name}.  Keys are written with {name}.
std::optional<std::string> name_without_dollar(std::string_view text, const std::vector<std::string>& known) {
  for (const std::string& name : known) {
    const std::string in_braces = '{' + name + '}';
    for (auto at = text.find(in_braces); at != std::string_view::npos; at = text.find(in_braces, at + 1)) {
      if (at == 0 || text[at - 1] != '$') return name;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<Template> Template::compile(std::string_view text, const std::vector<std::string>& known) {
  Template compiled;
  while (!text.empty()) {
    const std::size_t open = text.find("${");
    if (open != 0) compiled.pieces_.push_back({.text = std::string(text.substr(0, open))});
    if (open == std::string_view::npos) break;
    const std::size_t close = text.find('}', open);
    if (close == std::string_view::npos) return Error{"a \"${\" is not closed; it always begins a name"};
    std::string name(text.substr(open + 2, close - open - 2));
    if (!contains(known, name))
      return Error{"${" + name + "} is no name that is known here; known are " + join(known, ", ")};
    compiled.pieces_.push_back({.text = std::move(name), .is_name = true});
    text.remove_prefix(close + 1);
  }
  return compiled;
}

Result<Template> Template::compile_json(std::string_view text, const std::vector<std::string>& known) {
  Result<Template> compiled = compile(text, known);
  if (!compiled) return compiled;
  // The template must be JSON with each of two test values.  The value "" reveals a ${name} inside quotes.
  // The value null reveals a ${name} that is used as a member's name.
  for (const char* probe : {"\"\"", "null"}) {
    Values values;
    for (const std::string& name : known) values[name] = probe;
    if (!is_json(compiled->render_json(values))) {
      return Error{"must be JSON once each ${name} is replaced by a JSON value (no quotes around it)"};
    }
  }
  return compiled;
}

bool Template::mentions(std::string_view name) const {
  return std::any_of(pieces_.begin(), pieces_.end(),
                     [&](const Piece& piece) { return piece.is_name && piece.text == name; });
}

std::string Template::render_json(const Values& values) const {
  std::string out;
  for (const Piece& piece : pieces_) out += piece.is_name ? json_of(values, piece.text) : piece.text;
  return out;
}

std::string Template::render_text(const Values& values) const {
  std::string out;
  for (const Piece& piece : pieces_) {
    const std::string_view text = piece.is_name ? json_of(values, piece.text) : piece.text;
    if (piece.is_name && text.starts_with('"')) {
      out += json_unquote(text);
    } else {
      out += text;
    }
  }
  return out;
}

Result<Message> Message::make(Kind kind, std::string_view event, std::string_view text,
                              const std::vector<std::string>& known) {
  if (!is_sse_name(event)) return Error{"an event's name must not hold CR, LF or NUL"};
  auto content =
      kind == Kind::kJsonEvent ? Template::compile_json(text, known) : Template::compile(text, known);
  if (!content) return Error{content.error()};
  const auto name = kind == Kind::kJsonEvent ? std::nullopt : name_without_dollar(text, known);
  if (name) return Error{"write ${" + *name + "}, not {" + *name + "}, which only keys and paths have"};
  Message message;
  message.kind_ = kind;
  message.event_ = event;
  message.content_ = std::move(*content);
  return message;
}

void Message::append_to(std::string& out, const Values& values, std::string_view id) const {
  if (kind_ == Kind::kComment) return append_comment(out, content_.render_text(values));
  const bool is_json = kind_ == Kind::kJsonEvent;
  append_event(out, event_, is_json ? content_.render_json(values) : content_.render_text(values), id);
}

}  // namespace tailgate
