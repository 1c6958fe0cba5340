#include "gateway/routes/message.h"

#include <algorithm>
#include <cstddef>

#include "gateway/routes/sse.h"
#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::string_view kNull = "null";

}  // namespace

Values::Values(std::initializer_list<std::pair<std::string, std::string>> entries) {
  for (const auto& [name, json] : entries) set(name, json);
}

void Values::set(std::string_view name, std::string json) {
  for (auto& entry : entries_) {
    if (entry.first == name) {
      entry.second = std::move(json);
      return;
    }
  }
  entries_.emplace_back(name, std::move(json));
}

void Values::set_all(const Values& others) {
  for (const auto& [name, json] : others.entries_) set(name, json);
}

const std::string* Values::find(std::string_view name) const {
  for (const auto& entry : entries_) {
    if (entry.first == name) return &entry.second;
  }
  return nullptr;
}

Result<Template> Template::compile(std::string_view text, const std::vector<std::string>& known) {
  Template compiled;
  while (!text.empty()) {
    const std::size_t open = text.find("${");
    if (open != 0) compiled.pieces_.push_back({.text = std::string(text.substr(0, open))});
    if (open == std::string_view::npos) break;
    const std::size_t close = text.find('}', open);
    if (close == std::string_view::npos) return Error{"a \"${\" is not closed"};
    std::string name(text.substr(open + 2, close - open - 2));
    if (!contains(known, name)) return Error{"${" + name + "} is no name that is known here"};
    compiled.pieces_.push_back({.text = std::move(name), .is_name = true});
    text.remove_prefix(close + 1);
  }
  return compiled;
}

Result<Template> Template::compile_json(std::string_view text, const std::vector<std::string>& known) {
  Result<Template> compiled = compile(text, known);
  if (!compiled) return compiled;
  // "" breaks the JSON if a ${name} is inside quotes, null if it is the name of a member.
  for (const char* probe : {"\"\"", "null"}) {
    Values values;
    for (const std::string& name : known) values.set(name, probe);
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
  for (const Piece& piece : pieces_) {
    const std::string* value = piece.is_name ? values.find(piece.text) : &piece.text;
    out += value != nullptr ? std::string_view(*value) : kNull;
  }
  return out;
}

std::string Template::render_text(const Values& values) const {
  std::string out;
  for (const Piece& piece : pieces_) {
    const std::string* value = piece.is_name ? values.find(piece.text) : &piece.text;
    if (value == nullptr) {
      out += kNull;
    } else if (piece.is_name && value->starts_with('"')) {
      out += json_unquote(*value);
    } else {
      out += *value;
    }
  }
  return out;
}

Result<Message> Message::make(Kind kind, std::string_view event, Result<Template> content) {
  if (!is_sse_name(event)) return Error{"an event's name must not hold CR, LF or NUL"};
  if (!content) return Error{content.error()};
  Message message;
  message.kind_ = kind;
  message.event_ = event;
  message.content_ = std::move(*content);
  return message;
}

Result<Message> Message::comment(std::string_view text, const std::vector<std::string>& known) {
  return make(Kind::kComment, {}, Template::compile(text, known));
}

Result<Message> Message::event(std::string_view event, std::string_view data,
                               const std::vector<std::string>& known) {
  return make(Kind::kJsonEvent, event, Template::compile_json(data, known));
}

Result<Message> Message::text_event(std::string_view event, std::string_view text,
                                    const std::vector<std::string>& known) {
  return make(Kind::kTextEvent, event, Template::compile(text, known));
}

void Message::append_to(std::string& out, const Values& values, std::string_view id) const {
  switch (kind_) {
    case Kind::kComment:
      append_comment(out, content_.render_text(values));
      break;
    case Kind::kJsonEvent:
      append_event(out, event_, content_.render_json(values), id);
      break;
    case Kind::kTextEvent:
      append_event(out, event_, content_.render_text(values), id);
      break;
  }
}

}  // namespace tailgate
