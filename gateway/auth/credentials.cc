#include "gateway/auth/credentials.h"

#include <algorithm>
#include <utility>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

using Place = Credential::Kind;

constexpr std::size_t kMaxSessionBytes = 256;

// The token behind "Bearer", in any case (RFC 7235 section 2.1); empty for another scheme.
std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer";
  const std::string_view value = trim(authorization);
  if (value.size() <= kScheme.size() || ascii_lower(value.substr(0, kScheme.size())) != kScheme) return {};
  const std::string_view rest = value.substr(kScheme.size());
  return rest.starts_with(' ') || rest.starts_with('\t') ? trim(rest) : std::string_view();
}

}  // namespace

bool is_session_id(std::string_view text) {
  return !text.empty() && text.size() <= kMaxSessionBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
}

std::vector<Shown> shown_credentials(const std::vector<Credential>& places, const RequestParts& request) {
  std::vector<Shown> shown;
  std::optional<Query> query;
  bool query_was_read = false;
  const auto parameter = [&](const std::string& name) -> const std::string* {
    if (!query_was_read) query = Query::parse(request.query);
    query_was_read = true;
    return query ? query->find(name) : nullptr;
  };
  const auto show_token = [&](std::string_view token, bool is_explicit) {
    if (token.empty()) return;
    shown.push_back({.kind = Shown::Kind::kToken, .is_explicit = is_explicit, .text = std::string(token)});
  };
  const auto show_session = [&](std::string_view id) {
    if (!is_session_id(id)) return;
    shown.push_back({.kind = Shown::Kind::kSession, .is_explicit = true, .text = std::string(id)});
  };

  for (const Credential& place : places) {
    switch (place.kind) {
      case Place::kBearer:
        show_token(bearer_token(request.header("authorization").value_or("")), true);
        break;
      case Place::kTokenQuery: {
        const std::string* token = parameter(place.name);
        if (!query) {
          shown.push_back({.kind = Shown::Kind::kToken, .is_explicit = true, .text = {}});
        } else if (token != nullptr) {
          show_token(*token, true);
        }
        break;
      }
      case Place::kTokenCookie:
        show_token(cookie_value(request.header("cookie").value_or(""), place.name).value_or(""), false);
        break;
      case Place::kSessionHeader:
        show_session(request.header(place.name.c_str()).value_or(""));
        break;
      case Place::kSessionQuery:
        if (const std::string* id = parameter(place.name)) show_session(*id);
        break;
    }
  }
  return shown;
}

}  // namespace tailgate
