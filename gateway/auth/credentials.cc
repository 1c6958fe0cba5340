#include "gateway/auth/credentials.h"

#include "gateway/text/text.h"

namespace tailgate {

namespace {

using Place = Credential::Kind;

constexpr std::size_t kMaxSessionBytes = 256;

}  // namespace

std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer";
  const std::string_view value = trim(authorization);
  if (value.size() <= kScheme.size() || ascii_lower(value.substr(0, kScheme.size())) != kScheme) return {};
  const std::string_view token = value.substr(kScheme.size());
  return token.starts_with(' ') || token.starts_with('\t') ? trim(token) : std::string_view();
}

bool is_session_id(std::string_view text) {
  return text.size() <= kMaxSessionBytes && is_visible_ascii(text);
}

std::vector<PresentedCredential> find_credentials(const std::vector<Credential>& places,
                                                  const RequestParts& request) {
  using Kind = PresentedCredential::Kind;
  std::vector<PresentedCredential> found;
  const std::optional<Query> query = Query::parse(request.query);
  const auto parameter = [&query](const std::string& name) -> std::string_view {
    const std::string* value = query ? query->find_non_empty(name) : nullptr;
    return value != nullptr ? std::string_view(*value) : std::string_view();
  };
  const auto header = [&request](const char* name) { return request.header(name).value_or(""); };
  const auto add_token = [&found](std::string_view token, bool is_explicit) {
    if (!token.empty())
      found.push_back({.kind = Kind::kToken, .is_explicit = is_explicit, .text = std::string(token)});
  };
  // A token without a text never verifies.  So the request is refused, unless an earlier token is valid.
  const auto add_malformed = [&found] {
    found.push_back({.kind = Kind::kToken, .is_explicit = true, .text = {}});
  };
  const auto add_session = [&found, &add_malformed](std::string_view id) {
    if (is_session_id(id)) {
      found.push_back({.kind = Kind::kSession, .is_explicit = true, .text = std::string(id)});
    } else if (!id.empty()) {
      add_malformed();
    }
  };

  for (const Credential& place : places) {
    switch (place.kind) {
      case Place::kBearer:
        add_token(bearer_token(header("authorization")), true);
        break;
      case Place::kTokenQuery:
        if (!query) add_malformed();
        add_token(parameter(place.name), true);
        break;
      case Place::kTokenCookie:
        add_token(cookie_value(request.cookies, place.name).value_or(""), false);
        break;
      case Place::kSessionHeader:
        add_session(header(place.name.c_str()));
        break;
      case Place::kSessionQuery:
        if (!query) add_malformed();
        add_session(parameter(place.name));
        break;
    }
  }
  return found;
}

}  // namespace tailgate
