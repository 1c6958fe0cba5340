#include "gateway/routes/path_pattern.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "gateway/routes/key_template.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::size_t kMaxSegmentSize = 128;
constexpr std::size_t kMaxNames = 2;
constexpr std::size_t kMaxDigits = 20;
// The punctuation that literal segments may hold.  It has no special meaning in a URL's path, in nginx's
// configuration or in an escaped regular expression.
constexpr std::string_view kPathPunctuation = "-._~@:+,=";
constexpr std::string_view kAlwaysInIds = "-._";
constexpr std::string_view kNeverInIds = "/?#%{}\\\"'`";

bool is_dots(std::string_view segment) {
  return segment == "." || segment == "..";
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

constexpr std::string_view kUuidForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

bool is_uuid(std::string_view text) {
  const auto fits = [](char form, char c) { return form == '-' ? c == '-' : is_hex_digit(c); };
  return std::ranges::equal(kUuidForm, text, fits);
}

bool is_number(std::string_view text) {
  if (text.empty() || text.size() > kMaxDigits || !std::ranges::all_of(text, is_digit)) return false;
  return text.size() == 1 || text.front() != '0';
}

// The name if `segment` is "{name}".
std::optional<std::string_view> name_in(std::string_view segment) {
  if (segment.size() < 2 || segment.front() != '{' || segment.back() != '}') return std::nullopt;
  const std::string_view name = segment.substr(1, segment.size() - 2);
  if (!is_segment_name(name)) return std::nullopt;
  return name;
}

// The error text for a segment that holds a brace but is no {name}.
std::string fault_of_braces(std::string_view segment) {
  if (segment.find("{{") != std::string_view::npos)
    return "must not have doubled braces; a named segment is written as in {id}";
  for (std::size_t open = segment.find('{'); open != std::string_view::npos;
       open = segment.find('{', open + 1)) {
    const std::string_view placeholder = segment.substr(open, segment.find('}', open) - open + 1);
    if (name_in(placeholder)) return std::string(placeholder) + " must be a whole segment";
  }
  return "may hold braces only around the name of a segment, as in {id}: a small letter, then small letters, "
         "digits and \"_\", at most 40 in all";
}

}  // namespace

Result<IdRule> IdRule::make(Form form, std::string_view further_chars) {
  if (!further_chars.empty() && (!is_visible_ascii(further_chars) ||
                                 further_chars.find_first_of(kNeverInIds) != std::string_view::npos)) {
    return Error{
        "may hold only printable ASCII characters, but no space, no quotes and none of / ? # % { } \\"};
  }
  IdRule rule;
  rule.form_ = form;
  for (const char c : further_chars) {
    const std::string in_quotes = std::string("\"") + c + '"';
    if (consists_of(std::string_view(&c, 1), kAlwaysInIds)) {
      return Error{
          "must not hold " + in_quotes +
          ": ids may always hold letters, digits, \".\", \"_\" and \"-\", and ranges have no meaning"};
    }
    if (rule.punctuation_.find(c) != std::string::npos) return Error{"must not hold " + in_quotes + " twice"};
    rule.punctuation_ += c;
  }
  std::ranges::sort(rule.punctuation_);  // so that operator== ignores the order
  return rule;
}

bool IdRule::fits(std::string_view text) const {
  switch (form_) {
    case Form::kSegment:
      break;
    case Form::kUuid:
      return is_uuid(text);
    case Form::kInt:
      return is_number(text);
  }
  return text.size() <= kMaxSegmentSize && consists_of(text, punctuation_) && !is_dots(text);
}

std::string IdRule::canonical(std::string_view text) const {
  return form_ == Form::kUuid ? ascii_lower(text) : std::string(text);
}

std::string_view IdRule::fixed_form() const {
  return form_ == Form::kUuid ? kUuidForm : std::string_view();
}

bool IdRule::can_hold(char c) const {
  const std::string_view text(&c, 1);
  switch (form_) {
    case Form::kSegment:
      break;
    case Form::kUuid:
      return is_digit(c) || (c >= 'a' && c <= 'f') || c == '-';
    case Form::kInt:
      return is_digit(c);
  }
  return consists_of(text, punctuation_);
}

Result<PathPattern> PathPattern::compile(std::string_view text, bool trailing_slash, IdRule ids) {
  if (!text.starts_with('/')) return Error{"must begin with \"/\""};
  PathPattern pattern;
  pattern.text_ = text;
  pattern.trailing_slash_ = trailing_slash;
  pattern.ids_ = std::move(ids);
  for (const std::string_view segment : split(text.substr(1), '/')) {
    const auto name = name_in(segment);
    if (segment.empty()) {
      return Error{"must not have an empty segment; trailing_slash = true allows a last \"/\""};
    }
    if (is_dots(segment)) return Error{"must not have a segment \".\" or \"..\""};
    if (name) {
      if (contains(pattern.names_, *name))
        return Error{"must not have more than one " + std::string(segment)};
      if (pattern.names_.size() == kMaxNames) return Error{"must not have more than two named segments"};
      pattern.names_.emplace_back(*name);
    } else if (!consists_of(segment, std::string(kPathPunctuation) + "{}")) {
      return Error{"may hold only letters, digits and " + std::string(kPathPunctuation) +
                   " between the slashes"};
    } else if (segment.find_first_of("{}") != std::string_view::npos) {
      return Error{fault_of_braces(segment)};
    }
    pattern.segments_.push_back({.text = std::string(name.value_or(segment)), .is_name = name.has_value()});
  }
  return pattern;
}

const IdRule& PathPattern::rule_of(std::string_view name) const {
  static const IdRule kOther;
  return name == "id" ? ids_ : kOther;
}

SegmentRules PathPattern::rules() const {
  return {.can_hold = [this](std::string_view name, char c) { return rule_of(name).can_hold(c); },
          .form = [this](std::string_view name) { return rule_of(name).fixed_form(); }};
}

std::optional<std::string> PathPattern::match(std::string_view path) const {
  std::string values;
  std::string decoded;  // owns the text of `actual` if the segment holds a "%"
  for (const Segment& segment : segments_) {
    if (!path.starts_with('/')) return std::nullopt;
    path.remove_prefix(1);
    std::string_view actual = path.substr(0, path.find('/'));
    path.remove_prefix(actual.size());
    if (actual.find('%') != std::string_view::npos) {
      auto plain = percent_decode(actual);
      if (!plain) return std::nullopt;
      decoded = std::move(*plain);
      actual = decoded;
    }
    if (!segment.is_name) {
      if (actual != segment.text) return std::nullopt;
      continue;
    }
    const IdRule& rule = rule_of(segment.text);
    if (!rule.fits(actual)) return std::nullopt;
    if (!values.empty()) values += '/';
    values += rule.canonical(actual);
  }
  if (!path.empty() && !(trailing_slash_ && path == "/")) return std::nullopt;
  return values;
}

bool overlap(const PathPattern& a, const PathPattern& b) {
  using Segment = PathPattern::Segment;
  const bool form_counts = a.is_one_path() || b.is_one_path();
  return std::ranges::equal(a.segments_, b.segments_, [&](const Segment& left, const Segment& right) {
    if (left.is_name == right.is_name) return left.is_name || left.text == right.text;
    if (!form_counts) return true;
    return left.is_name ? a.rule_of(left.text).fits(right.text) : b.rule_of(right.text).fits(left.text);
  });
}

}  // namespace tailgate
