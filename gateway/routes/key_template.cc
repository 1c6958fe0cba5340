#include "gateway/routes/key_template.h"

#include <algorithm>
#include <utility>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::size_t kMaxNameSize = 40;
constexpr std::string_view kHowToWriteBraces = "; write {{ and }} for braces";

Error fault(const std::string& what) {
  return Error{what + std::string(kHowToWriteBraces)};
}

}  // namespace

std::string_view Segments::value(std::string_view name) const {
  const auto found = std::ranges::find(names, name);
  return found == names.end() ? std::string_view() : value(static_cast<std::size_t>(found - names.begin()));
}

std::string_view Segments::value(std::size_t index) const {
  std::string_view rest = values;
  for (; index > 0; --index) rest.remove_prefix(std::min(rest.find('/'), rest.size() - 1) + 1);
  return rest.substr(0, rest.find('/'));
}

bool is_segment_name(std::string_view text) {
  return text.size() <= kMaxNameSize && consists_of(text, "_") && ascii_lower(text) == text &&
         text.front() >= 'a' && text.front() <= 'z';
}

Result<KeyTemplate> KeyTemplate::compile(std::string_view text) {
  KeyTemplate made;
  made.text_ = text;
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) made.pieces_.push_back({.text = std::exchange(literal, {})});
  };
  while (!text.empty()) {
    const std::size_t brace = std::min(text.find_first_of("{}"), text.size());
    literal += text.substr(0, brace);
    text.remove_prefix(brace);
    if (text.empty()) break;
    if (text.starts_with("{{") || text.starts_with("}}")) {
      literal += text.front();
      text.remove_prefix(2);
      continue;
    }
    const std::size_t close = text.find('}');
    if (close == 0) return fault("a \"}\" closes nothing");
    if (close == std::string_view::npos) return fault("a \"{\" is not closed");
    std::string name(text.substr(1, close - 1));
    text.remove_prefix(close + 1);
    if (!is_segment_name(name)) {
      return fault("{" + name +
                   "} is no name: a name is a small letter, then small letters, digits and \"_\"");
    }
    end_literal();
    if (!contains(made.names_, name)) made.names_.push_back(name);
    made.pieces_.push_back({.text = std::move(name), .is_name = true});
  }
  end_literal();
  return made;
}

bool KeyTemplate::has_in_braces(std::string_view name) const {
  const std::string in_braces = '{' + std::string(name) + '}';
  return std::ranges::any_of(pieces_, [&](const Piece& piece) {
    return !piece.is_name && piece.text.find(in_braces) != std::string::npos;
  });
}

// If a character that the first value cannot hold follows each value, a reader from the left finds where each
// value ends.  If such a character precedes each value, a reader from the right does.
std::optional<std::pair<std::string, std::string>> KeyTemplate::joined_names(const CanHold& can_hold) const {
  std::optional<std::pair<std::string, std::string>> from_left;
  std::optional<std::pair<std::string, std::string>> from_right;
  const Piece* before = nullptr;  // the last name
  std::string_view between;
  for (const Piece& piece : pieces_) {
    if (!piece.is_name) {
      between = piece.text;
      continue;
    }
    if (before != nullptr && before->text != piece.text) {
      const auto holds_all = [&](const std::string& name) {
        return std::ranges::all_of(between, [&](char c) { return can_hold(name, c); });
      };
      if (holds_all(before->text)) from_left.emplace(before->text, piece.text);
      if (holds_all(piece.text)) from_right.emplace(before->text, piece.text);
    }
    before = &piece;
    between = {};
  }
  return from_left && from_right ? from_left : std::nullopt;
}

template <typename ValueOf>
std::string KeyTemplate::expanded(const ValueOf& value_of) const {
  std::string out;
  for (const Piece& piece : pieces_) {
    if (piece.is_name) {
      out += value_of(piece.text);
    } else {
      out += piece.text;
    }
  }
  return out;
}

std::string KeyTemplate::expand(const Segments& segments) const {
  return expanded([&](std::string_view name) { return segments.value(name); });
}

std::string KeyTemplate::expand_url(const Segments& segments) const {
  return expanded([&](std::string_view name) { return percent_encode(segments.value(name)); });
}

std::string KeyTemplate::expand_all(std::string_view value) const {
  return expanded([&](std::string_view) { return value; });
}

}  // namespace tailgate
