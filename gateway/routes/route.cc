#include "gateway/routes/route.h"

#include <algorithm>
#include <utility>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::string_view kNoSessionHeaders[] = {"authorization", "cookie", "host"};

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
    if (kind != Kind::kSessionHeader) return Credential{.kind = kind, .name = std::string(name)};
    std::string header = ascii_lower(name);
    if (header.starts_with("x-tailgate-") || contains(kNoSessionHeaders, header))
      return Error{'"' + std::string(text) +
                   "\": this header has another meaning, so it cannot hold a session"};
    if (header.find('_') != std::string::npos)
      return Error{'"' + std::string(text) + "\": nginx drops headers with \"_\" in their names"};
    return Credential{.kind = kind, .name = std::move(header)};
  }
  return Error{'"' + std::string(text) +
               "\" is none of bearer, query:<name>, cookie:<name>, session-header:<name> and "
               "session-query:<name>"};
}

std::optional<RouteMatch> find_route(const std::vector<Route>& routes, std::string_view path) {
  for (const Route& route : routes) {
    if (auto id = route.path.match(path)) return RouteMatch{.route = &route, .id = std::move(*id)};
  }
  return std::nullopt;
}

bool is_reserved_channel(std::string_view name) {
  return name.starts_with("__keyspace@") || name.starts_with("__keyevent@") ||
         name == "__redis__:invalidate" || name.starts_with("tailgate:control:");
}

}  // namespace tailgate
