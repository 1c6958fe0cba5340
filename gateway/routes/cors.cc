#include "gateway/routes/cors.h"

#include <algorithm>
#include <charconv>
#include <cstddef>

#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::string_view kWildcardPrefix = "https://*.";

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// True for labels that are separated by dots.
bool is_host_name(std::string_view text) {
  const auto parts = split(text, '.');
  return std::all_of(parts.begin(), parts.end(), [](std::string_view label) {
    return !label.empty() && std::all_of(label.begin(), label.end(),
                                         [](char c) { return is_lower_or_digit(c) || c == '-' || c == '_'; });
  });
}

bool is_ipv6_literal(std::string_view text) {
  return text.size() > 2 && text.front() == '[' && text.back() == ']' &&
         text.find_first_not_of("0123456789abcdef:.", 1) == text.size() - 1;
}

bool is_scheme(std::string_view text) {
  return !text.empty() && text.front() >= 'a' && text.front() <= 'z' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_lower_or_digit(c) || c == '+' || c == '-' || c == '.'; });
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  return error == std::errc() && stop == end && port >= 1 && port <= 65535 && text.front() != '0';
}

bool is_header_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
}

// An error if `origin` is not "scheme://host[:port]" or "https://*.suffix[:port]".
Status check_origin(std::string_view origin) {
  if (origin == "*") return Error{"\"*\" would let every site read the answers; name the origins"};
  if (origin == "null") return Error{"\"null\" is the origin of any sandboxed page"};
  if (origin.find(',') != std::string_view::npos)
    return Error{
        "holds a comma: each origin stands by itself, and in TAILGATE_CORS_ORIGINS a space separates them"};
  if (ascii_lower(origin) != origin) return Error{"must be in lower case, as browsers send it"};
  const std::size_t colon = origin.find("://");
  if (colon == std::string_view::npos || !is_scheme(origin.substr(0, colon))) {
    return Error{"must be scheme://host[:port]"};
  }
  const std::string_view scheme = origin.substr(0, colon);
  std::string_view host = origin.substr(colon + 3);
  if (host.find('/') != std::string_view::npos)
    return Error{"must end after the host or port, without a \"/\""};
  const std::size_t port = host.find(':', host.starts_with('[') ? host.find(']') : 0);
  if (port != std::string_view::npos) {
    const std::string_view number = host.substr(port + 1);
    if (!is_port(number)) return Error{"its port must be a number from 1 to 65535"};
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
  CorsRule rule;
  for (const std::string& origin : origins) {
    if (const Status status = check_origin(origin); !status) {
      return Error{"origin \"" + (has_control(origin) ? "?" : origin) + "\": " + status.error()};
    }
    if (origin.starts_with(kWildcardPrefix)) {
      rule.suffixes_.push_back({.scheme = "https://", .tail = origin.substr(kWildcardPrefix.size() - 1)});
    } else {
      rule.exact_.push_back(origin);
    }
  }
  for (const std::string& header : allowed_headers) {
    if (!is_header_name(header)) return Error{"an allowed header must be a header's name"};
    if (!rule.allowed_headers_.empty()) rule.allowed_headers_ += ", ";
    rule.allowed_headers_ += header;
  }
  return rule;
}

bool CorsRule::allows(std::string_view origin) const {
  if (std::find(exact_.begin(), exact_.end(), origin) != exact_.end()) return true;
  return std::any_of(suffixes_.begin(), suffixes_.end(), [origin](const Suffix& suffix) {
    if (!origin.starts_with(suffix.scheme) || !origin.ends_with(suffix.tail)) return false;
    if (origin.size() <= suffix.scheme.size() + suffix.tail.size()) return false;
    const std::size_t size = origin.size() - suffix.scheme.size() - suffix.tail.size();
    return is_host_name(origin.substr(suffix.scheme.size(), size));
  });
}

}  // namespace tailgate
