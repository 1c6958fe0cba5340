#include "gateway/routes/cors.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::string_view kHttps = "https://";
constexpr std::string_view kWildcardPrefix = "https://*.";

// True for labels that are separated by dots.
bool is_host_name(std::string_view text) {
  return std::ranges::all_of(split(text, '.'), [](std::string_view label) {
    return !label.empty() &&
           label.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string_view::npos;
  });
}

bool is_ipv6_literal(std::string_view text) {
  return text.size() > 2 && text.front() == '[' && text.back() == ']' &&
         text.find_first_not_of("0123456789abcdef:.", 1) == text.size() - 1;
}

// Checks one origin by the rules of CorsRule::make().
Status check_origin(std::string_view origin) {
  if (origin == "*") return Error{"\"*\" would let every site read the answers; name the origins"};
  if (origin == "null") return Error{"\"null\" is the origin of any sandboxed page"};
  if (origin.find(',') != std::string_view::npos)
    return Error{
        "holds a comma: each origin stands by itself, and in TAILGATE_CORS_ORIGINS a space separates them"};
  if (ascii_lower(origin) != origin) return Error{"must be in lower case, as browsers send it"};
  const std::size_t colon = origin.find("://");
  const std::string_view scheme = origin.substr(0, colon);
  const bool is_scheme = consists_of(scheme, "+-.") && scheme.front() >= 'a';  // begins with a letter
  if (colon == std::string_view::npos || !is_scheme) return Error{"must be scheme://host[:port]"};
  std::string_view host = origin.substr(colon + 3);
  if (host.find('/') != std::string_view::npos)
    return Error{"must end after the host or port, without a \"/\""};
  const std::size_t port = host.find(':', host.starts_with('[') ? host.find(']') : 0);
  if (port != std::string_view::npos) {
    const std::string_view number = host.substr(port + 1);
    if (!parse_number<std::uint16_t>(number) || number.starts_with('0'))
      return Error{"its port must be a number from 1 to 65535"};
    if ((scheme == "https" && number == "443") || (scheme == "http" && number == "80")) {
      return Error{"browsers leave out the default port, so it would never match"};
    }
    host = host.substr(0, port);
  }
  if (origin.find('*') != std::string_view::npos) {
    if (!origin.starts_with(kWildcardPrefix) ||
        origin.find('*', kWildcardPrefix.size()) != std::string_view::npos) {
      return Error{"a star may stand only as in \"https://*.example.com\""};
    }
    host.remove_prefix(2);
    if (host.find('.') == std::string_view::npos) {
      return Error{"a star before a single label would allow strangers' sites"};
    }
  }
  if (!is_host_name(host) && !is_ipv6_literal(host)) return Error{"its host is not a host name"};
  return {};
}

}  // namespace

Result<CorsRule> CorsRule::make(const std::vector<std::string>& origins,
                                const std::vector<std::string>& allowed_headers) {
  for (const std::string& origin : origins) {
    if (const Status status = check_origin(origin); !status)
      return Error{"origin \"" + (has_control(origin) ? "?" : origin) + "\": " + status.error()};
  }
  for (const std::string& header : allowed_headers) {
    if (!consists_of(header, "-_")) return Error{"an allowed header must be a header's name"};
  }
  CorsRule rule;
  rule.origins_ = origins;
  rule.allowed_headers_ = join(allowed_headers, ", ");
  return rule;
}

bool CorsRule::allows(std::string_view origin) const {
  return std::ranges::any_of(origins_, [origin](std::string_view allowed) {
    if (!allowed.starts_with(kWildcardPrefix)) return origin == allowed;
    const std::string_view tail = allowed.substr(kWildcardPrefix.size() - 1);  // ".example.com:8443"
    return origin.starts_with(kHttps) && origin.ends_with(tail) &&
           origin.size() > kHttps.size() + tail.size() &&
           is_host_name(origin.substr(kHttps.size(), origin.size() - kHttps.size() - tail.size()));
  });
}

}  // namespace tailgate
