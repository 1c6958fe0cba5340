#include "gateway/routes/key_template.h"

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::size_t kMaxNameSize = 40;
constexpr std::string_view kHowToWriteBraces = "; write {{ and }} for braces";

Error fault(const std::string& what) {
  return Error{what + std::string(kHowToWriteBraces)};
}

Error spelled_as_in_messages(const std::string& name) {
  return Error{"write {" + name + "}, not ${" + name + "}, which only messages have"};
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
      return fault(
          "{" + name +
          "} is no name: a name is a small letter, then small letters, digits and \"_\", at most 40 in all");
    }
    if (literal.ends_with('$')) return spelled_as_in_messages(name);
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

// Read from the left, a value ends at the first character that it cannot hold.  Read from the right, it
// begins after the last character that it cannot hold.  The values can be told apart if one of the two
// directions works for all names.  Both directions work for a name with a form.
std::optional<std::pair<std::string, std::string>> KeyTemplate::joined_names(
    const SegmentRules& rules) const {
  std::optional<std::pair<std::string, std::string>> from_left;
  std::optional<std::pair<std::string, std::string>> from_right;
  const Piece* before = nullptr;  // the previous name
  std::string_view between;
  for (const Piece& piece : pieces_) {
    if (!piece.is_name) {
      between = piece.text;
      continue;
    }
    if (before != nullptr && before->text != piece.text) {
      // True if the text between the two names could be a part of a value of `name`.
      const auto may_go_on = [&](const std::string& name) {
        return rules.form(name).empty() &&
               std::ranges::all_of(between, [&](char c) { return rules.can_hold(name, c); });
      };
      if (may_go_on(before->text)) from_left.emplace(before->text, piece.text);
      if (may_go_on(piece.text)) from_right.emplace(before->text, piece.text);
    }
    before = &piece;
    between = {};
  }
  return from_left && from_right ? from_left : std::nullopt;
}

std::vector<KeyTemplate::Place> KeyTemplate::places(const SegmentRules& rules) const {
  std::vector<Place> places;
  for (const Piece& piece : pieces_) {
    const std::string_view form = piece.is_name ? rules.form(piece.text) : std::string_view(piece.text);
    if (piece.is_name && form.empty()) places.push_back({.name = piece.text, .repeats = true});
    for (const char c : form) {
      places.push_back(!piece.is_name || c == '-' ? Place{.literal = c, .name = {}}
                                                  : Place{.name = piece.text});
    }
  }
  return places;
}

// Searches for a text to which both templates can expand.  The search is breadth-first over pairs of a place
// in `a` and a place in `b`.  The same text leads to both places of a pair.
std::optional<std::string> common_text(const KeyTemplate& a, const SegmentRules& rules_of_a,
                                       const KeyTemplate& b, const SegmentRules& rules_of_b) {
  using Place = KeyTemplate::Place;
  const std::vector<Place> of_a = a.places(rules_of_a);
  const std::vector<Place> of_b = b.places(rules_of_b);
  const auto fits = [](const Place& place, const SegmentRules& rules, char c) {
    return place.name.empty() ? place.literal == c : rules.can_hold(place.name, c);
  };
  const auto common_char = [&](const Place& left, const Place& right) {
    const auto fits_both = [&](char c) { return fits(left, rules_of_a, c) && fits(right, rules_of_b, c); };
    for (const char c : {'7', left.literal, right.literal}) {
      if (fits_both(c)) return c;
    }
    for (char c = '!'; c <= '~'; ++c) {
      if (fits_both(c)) return c;
    }
    return '\0';
  };
  using Pair = std::pair<std::size_t, std::size_t>;
  std::map<Pair, std::string> texts{{Pair(0, 0), ""}};
  for (std::deque<Pair> open{Pair(0, 0)}; !open.empty(); open.pop_front()) {
    const auto [i, j] = open.front();
    const std::string text = texts[open.front()];
    if (i == of_a.size() && j == of_b.size()) return text;
    if (i == of_a.size() || j == of_b.size()) continue;
    const char c = common_char(of_a[i], of_b[j]);
    if (c == '\0') continue;
    for (const std::size_t next_i : {i + 1, of_a[i].repeats ? i : i + 1}) {
      for (const std::size_t next_j : {j + 1, of_b[j].repeats ? j : j + 1}) {
        if (texts.emplace(Pair(next_i, next_j), text + c).second) open.emplace_back(next_i, next_j);
      }
    }
  }
  return std::nullopt;
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
  std::string out;
  for (const Piece& piece : pieces_) {
    if (piece.is_name) {
      out += percent_encode(segments.value(piece.text));
      continue;
    }
    for (const char c : piece.text)
      out += c == '{' || c == '}' ? percent_encode(std::string_view(&c, 1)) : std::string(1, c);
  }
  return out;
}

std::string KeyTemplate::expand_all(std::string_view value) const {
  return expanded([&](std::string_view) { return value; });
}

}  // namespace tailgate
