#include "gateway/routes/route.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::string_view kId = "{id}";
constexpr std::size_t kMaxIdSize = 128;
// The punctuation that literal segments may hold.  It has no special meaning in a URL's path, in nginx's
// configuration or in an escaped regular expression.
constexpr std::string_view kPathPunctuation = "-._~@:+,=";

bool is_dots(std::string_view segment) {
  return segment == "." || segment == "..";
}

// True if some segment of a URL's path matches both `a` and `b`.
bool segments_overlap(std::string_view a, std::string_view b) {
  if (a == b) return true;
  return (a == kId && is_job_id(b)) || (b == kId && is_job_id(a));
}

}  // namespace

Result<Credential> Credential::parse(std::string_view text) {
  constexpr std::pair<std::string_view, Kind> kPrefixes[] = {{"query:", Kind::kTokenQuery},
                                                             {"cookie:", Kind::kTokenCookie},
                                                             {"session-header:", Kind::kSessionHeader},
                                                             {"session-query:", Kind::kSessionQuery}};
  if (text == "bearer") return Credential{.kind = Kind::kBearer, .name = {}};
  for (const auto& [prefix, kind] : kPrefixes) {
    const std::string_view name = text.substr(std::min(prefix.size(), text.size()));
    if (!text.starts_with(prefix) || !is_token(name)) continue;
    return Credential{.kind = kind,
                      .name = kind == Kind::kSessionHeader ? ascii_lower(name) : std::string(name)};
  }
  return Error{'"' + std::string(text) +
               "\" is none of bearer, query:<name>, cookie:<name>, session-header:<name> and "
               "session-query:<name>"};
}

Result<PathPattern> PathPattern::compile(std::string_view text, bool trailing_slash) {
  if (!text.starts_with('/')) return Error{"must begin with \"/\""};
  PathPattern pattern;
  pattern.text_ = text;
  pattern.trailing_slash_ = trailing_slash;
  for (const std::string_view segment : split(text.substr(1), '/')) {
    if (segment.empty()) {
      return Error{"must not have an empty segment; trailing_slash = true allows a last \"/\""};
    }
    if (is_dots(segment)) return Error{"must not have a segment \".\" or \"..\""};
    if (segment == kId) {
      if (pattern.has_id_) return Error{"must not have more than one {id}"};
      pattern.has_id_ = true;
    } else if (segment.find(kId) != std::string_view::npos) {
      return Error{"{id} must be a whole segment"};
    } else if (const Status status = check_placeholders(segment); !status) {
      return Error{status.error()};
    } else if (!consists_of(segment, kPathPunctuation)) {
      return Error{"may hold only letters, digits and " + std::string(kPathPunctuation) +
                   " between the slashes"};
    }
    pattern.segments_.emplace_back(segment);
  }
  return pattern;
}

std::optional<std::string> PathPattern::match(std::string_view path) const {
  std::string id;
  std::string decoded;  // owns the text of `actual` if the segment holds a "%"
  for (const std::string& segment : segments_) {
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
    if (segment == kId) {
      if (!is_job_id(actual)) return std::nullopt;
      id = actual;
    } else if (actual != segment) {
      return std::nullopt;
    }
  }
  if (!path.empty() && !(trailing_slash_ && path == "/")) return std::nullopt;
  return id;
}

bool overlap(const PathPattern& a, const PathPattern& b) {
  const auto left = split(a.text(), '/');
  const auto right = split(b.text(), '/');
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](std::string_view x, std::string_view y) { return segments_overlap(x, y); });
}

std::optional<RouteMatch> find_route(const std::vector<Route>& routes, std::string_view path) {
  for (const Route& route : routes) {
    if (auto id = route.path.match(path)) return RouteMatch{.route = &route, .id = std::move(*id)};
  }
  return std::nullopt;
}

bool is_job_id(std::string_view text) {
  return text.size() <= kMaxIdSize && consists_of(text, "-._") && !is_dots(text);
}

bool is_reserved_channel(std::string_view name) {
  return name.starts_with("__keyspace@") || name == "__redis__:invalidate" ||
         name.starts_with("tailgate:control:");
}

std::string with_id(std::string_view pattern, std::string_view id) {
  std::string out;
  while (true) {
    const std::size_t place = pattern.find(kId);
    out += pattern.substr(0, place);
    if (place == std::string_view::npos) return out;
    out += id;
    pattern.remove_prefix(place + kId.size());
  }
}

Status check_placeholders(std::string_view text) {
  for (std::size_t open = text.find('{'); open != std::string_view::npos; open = text.find('{', open + 1)) {
    const std::size_t close = text.find('}', open);
    if (close == std::string_view::npos) break;
    const std::string placeholder(text.substr(open, close - open + 1));
    if (placeholder != kId) return Error{"there is no " + placeholder + ": a job's id is written {id}"};
  }
  return {};
}

}  // namespace tailgate
