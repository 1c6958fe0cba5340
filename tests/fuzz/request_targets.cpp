// Fuzz targets for the parts of a request: its target, credentials, Last-Event-ID and forwarded addresses.
#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>

#include "gateway/auth/credentials.h"
#include "gateway/feeds/page.h"
#include "gateway/routes/client_address.h"
#include "gateway/routes/framing.h"
#include "gateway/text/text.h"
#include "tests/fuzz/fixture.h"
#include "tests/fuzz/reference_json.h"
#include "tests/fuzz/target.h"

namespace tailgate::testing {

namespace {

using Place = Credential::Kind;

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

int hex_value(char c) {
  const std::size_t at = std::string_view("0123456789abcdefABCDEF").find(c);
  if (at == std::string_view::npos) return -1;
  return static_cast<int>(at < 16 ? at : at - 6);
}

// Decodes the whole path; the gateway decodes segment by segment.  Nothing if an escape is malformed or
// stands for "/".
std::optional<std::string> whole_path_decoded(std::string_view path) {
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      out += path[i];
      continue;
    }
    if (path.size() - i < 3 || hex_value(path[i + 1]) < 0 || hex_value(path[i + 2]) < 0) return std::nullopt;
    const char byte = static_cast<char>(hex_value(path[i + 1]) * 16 + hex_value(path[i + 2]));
    if (byte == '/') return std::nullopt;
    out += byte;
    i += 2;
  }
  return out;
}

bool is_plain_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && id != "." && id != ".." &&
         std::all_of(id.begin(), id.end(),
                     [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

// The id in `path` if `route` matches it.
std::optional<std::string> id_in(std::string_view path, const Route& route) {
  std::string_view pattern = route.path.text();
  if (route.path.trailing_slash() && path.ends_with('/')) path.remove_suffix(1);
  const std::size_t place = pattern.find("{id}");
  if (place == std::string_view::npos) {
    if (path != pattern) return std::nullopt;
    return std::string();
  }
  const std::string_view head = pattern.substr(0, place);
  const std::string_view tail = pattern.substr(place + 4);
  if (path.size() < head.size() + tail.size() || !path.starts_with(head) || !path.ends_with(tail)) {
    return std::nullopt;
  }
  const std::string_view id = path.substr(head.size(), path.size() - head.size() - tail.size());
  if (!is_plain_id(id)) return std::nullopt;
  return std::string(id);
}

// A number of 64 bits, checked by comparing digits.
std::optional<std::uint64_t> plain_number(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  const std::string_view digits = text.substr(std::min(text.find_first_not_of('0'), text.size() - 1));
  constexpr std::string_view kLargest = "18446744073709551615";
  if (digits.size() > kLargest.size() || (digits.size() == kLargest.size() && digits > kLargest)) {
    return std::nullopt;
  }
  return std::stoull(std::string(digits));
}

// "12-3"
std::optional<EntryId> plain_entry_id(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto ms = plain_number(text.substr(0, dash));
  const auto seq = plain_number(text.substr(dash + 1));
  if (!ms || !seq) return std::nullopt;
  return EntryId{*ms, *seq};
}

std::string encoded_for_cookie(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    if (is_alphanumeric(c)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += "0123456789ABCDEF"[byte >> 4];
      out += "0123456789ABCDEF"[byte & 15];
    }
  }
  return out;
}

bool parses(int family, const std::string& address) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(family, address.c_str(), bytes.data()) == 1 && address.find('\0') == std::string::npos;
}

bool is_numeric_address(const std::string& address) {
  return parses(AF_INET, address) || parses(AF_INET6, address);
}

// True for an address in 10.0.0.0/8 or fd00::/8.
bool is_inside(const std::string& address) {
  in6_addr six{};
  if (inet_pton(AF_INET, address.c_str(), &six) == 1) return address.starts_with("10.");
  inet_pton(AF_INET6, address.c_str(), &six);
  const bool is_mapped = IN6_IS_ADDR_V4MAPPED(&six);
  return is_mapped ? six.s6_addr[12] == 10 : six.s6_addr[0] == 0xFD;
}

}  // namespace

// The request target: the route and id of its path, and its query.
void fuzz_target(std::string_view input) {
  const std::string_view path = input.substr(0, input.find('?'));
  const std::string_view query_text = path.size() < input.size() ? input.substr(path.size() + 1) : "";
  const std::vector<Route>& routes = shipped_config().routes;

  const auto match = find_route(routes, path);
  std::optional<RouteMatch> expected;
  if (const auto decoded = whole_path_decoded(path)) {
    for (const Route& route : routes) {
      const auto id = id_in(*decoded, route);
      if (!id) continue;
      must(!expected, "no two routes match one path");
      expected = RouteMatch{.route = &route, .id = *id};
    }
  }
  must(match.has_value() == expected.has_value(), "the reference finds a route for the same paths");
  if (match) {
    must(match->route == expected->route && match->id == expected->id,
         "the reference finds the same route and id");
    const std::string key =
        match->route->key.expand({.names = match->route->path.names(), .values = match->id});
    must(key.find("{id}") == std::string::npos && !has_control(key),
         "a key has no placeholder and no control characters");
  }

  const auto query = Query::parse(query_text);
  if (!query) {
    must(query_text.find('%') != std::string_view::npos, "only a \"%\" can make a query malformed");
    return;
  }
  std::string again;
  for (const auto& [name, value] : query->all()) {
    again += '&' + encoded_for_cookie(name) + '=' + encoded_for_cookie(value);
    must(query->find(name) != nullptr, "find() finds every parameter");
  }
  const auto reparsed = Query::parse(again);
  must(reparsed && reparsed->all() == query->all(), "a query parses to itself when it is encoded again");
}

// Cookies, the Authorization header, session ids and tokens in the query.
void fuzz_credentials(std::string_view input) {
  Pieces pieces(input);
  std::map<std::string, std::string, std::less<>> headers;
  const std::string cookies(pieces.text());
  headers["authorization"] = pieces.text();
  headers["x-session-id"] = pieces.text();
  const std::string_view query = pieces.text();
  const std::string_view secret = pieces.rest();
  RequestParts parts{.query = query,
                     .cookies = cookies,
                     .header = [&headers](const char* name) -> std::optional<std::string_view> {
                       const auto found = headers.find(name);
                       if (found == headers.end()) return std::nullopt;
                       return found->second;
                     }};
  const std::vector<Credential> places = shipped_route("job").credentials;
  const auto decoded = Query::parse(query);
  const std::string* const in_query = decoded ? decoded->find_non_empty("sessionId") : nullptr;
  const auto is_bad = [](std::string_view id) { return !id.empty() && !is_session_id(id); };
  const bool has_bad_session = is_bad(headers["x-session-id"]) || (in_query != nullptr && is_bad(*in_query));
  const auto found = find_credentials(places, parts);
  must(found.size() <= places.size(), "a place has at most one credential");
  for (const PresentedCredential& one : found) {
    if (one.kind == PresentedCredential::Kind::kSession) {
      must(is_session_id(one.text) && one.is_explicit, "a session id is valid and explicit");
      must(!has_control(one.text) && one.text.find(' ') == std::string::npos,
           "a session id has no space and no control characters");
    } else if (one.text.empty()) {
      must(one.is_explicit && (!decoded || has_bad_session),
           "only a malformed query or session id counts as an empty token");
    }
  }

  // The first cookie with the name counts, quoted or not, whatever follows it.
  const std::string encoded = encoded_for_cookie(secret);
  for (const bool is_quoted : {true, false}) {
    const std::string quote = is_quoted ? "\"" : "";
    const std::string header = "other=1; accessToken=" + quote + encoded + quote + "; " + cookies;
    must(cookie_value(header, "accessToken") == secret, "a cookie is found and decoded");
  }
  const auto loose = cookie_value(cookies, "accessToken");
  if (loose)
    must(cookies.find("accessToken") != std::string::npos, "a cookie that is found is in the header");
}

void fuzz_last_event_id(std::string_view input) {
  const auto id = EntryId::parse(input);
  must(id == plain_entry_id(input), "an entry id is two numbers of 64 bits");
  if (id) must(EntryId::parse(id->text()) == id, "an entry id parses to itself when it is written");

  const auto end = parse_end_id(input);
  const bool is_end = input == "end" || (input.starts_with("end.") && plain_entry_id(input.substr(4)));
  must(end.has_value() == is_end, "an end id is \"end\" or \"end.\" and an entry id");
  if (end) {
    must(!id, "an end id is no entry id");
    must(*end == plain_entry_id(input.size() > 4 ? input.substr(4) : "0-0"), "an end id has its entry id");
  }
}

void fuzz_page(std::string_view input) {
  Pieces pieces(input);
  const Route& route = shipped_route("log-pages");
  const auto query = Query::parse(pieces.text());
  int limit = route.page_default;
  if (query) {
    const auto asked = parse_page_query(*query, route);
    const std::string* limit_text = query->find("limit");
    const std::string* before_text = query->find("before_id");
    const bool limit_is_good =
        limit_text == nullptr ||
        (!limit_text->empty() && limit_text->find_first_not_of("0123456789") == std::string::npos &&
         limit_text->find_first_not_of('0') != std::string::npos &&
         limit_text->size() - limit_text->find_first_not_of('0') <= 3 && std::stoi(*limit_text) <= 500);
    const bool before_is_good = before_text == nullptr || plain_entry_id(*before_text);
    must(static_cast<bool>(asked) == (limit_is_good && before_is_good),
         "the reference accepts the same parameters");
    if (asked) {
      limit = asked->limit;
      must(limit == (limit_text == nullptr ? 100 : std::stoi(*limit_text)),
           "the limit is the parameter or 100");
      must(asked->before == (before_text == nullptr ? std::nullopt : plain_entry_id(*before_text)),
           "before_id is the parameter");
      if (asked->before && !asked->before->is_zero()) {
        must(*id_before(*asked->before) < *asked->before, "id_before() is smaller");
      }
    } else {
      const std::string_view name = limit_is_good ? "before_id: " : "limit: ";
      must(asked.error().starts_with(name) && !has_control(asked.error()), "a refusal names the parameter");
    }
  }

  // The other pieces are the texts of entries, from the newest to the oldest.
  Page page(route, limit);
  std::vector<std::string> texts;
  while (!pieces.done() && texts.size() < 600) texts.emplace_back(pieces.text());
  std::uint64_t next = 1000;
  std::size_t taken = 0;
  for (const std::string& text : texts) {
    if (!page.add({.id = {next--, 0}, .fields = {{"ts", "1"}, {"text", "shadowed"}, {"text", text}}})) break;
    ++taken;
  }
  must(page.lines() == taken && taken <= static_cast<std::size_t>(limit),
       "a page holds the lines that it has accepted, up to the limit");
  must(page.full() == (taken < texts.size()), "a page is full once it has refused a line");
  const std::string text = page.json();
  const auto json = reference_json(text);
  must(json.has_value() && !has_control(text), "a page is JSON on one line");
  must((*json)["lines"].size() == taken && (*json)["has_more"] == page.full(),
       "has_more and the number of lines are right");
  must((*json)["oldest_id"].is_null() == (taken == 0), "a page has an oldest line unless it is empty");
  for (std::size_t i = 0; i < taken; ++i) {
    const auto& line = (*json)["lines"][taken - 1 - i];
    must(line["id"] == std::to_string(1000 - i) + "-0", "lines are in the order of the log");
    must(line["text"] == to_utf8(texts[i]) && line["source"].is_null(), "a line has the fields of its entry");
  }
}

void fuzz_forwarded(std::string_view input) {
  ClientAddressRule rule;
  rule.trusted_proxies = {*AddressBlock::parse("10.0.0.0/8"), *AddressBlock::parse("fd00::/8")};
  rule.ipv6_prefix = 128;
  for (const auto header :
       {ClientAddressRule::Header::kXForwardedFor, ClientAddressRule::Header::kForwarded}) {
    rule.header = header;
    const bool is_forwarded = header == ClientAddressRule::Header::kForwarded;
    const std::string_view added =
        is_forwarded ? ", for=203.0.113.9, for=10.0.0.1" : ", 203.0.113.9, 10.0.0.1";
    const auto behind = client_address(std::string(input) + std::string(added), rule);
    must(behind && *behind == "203.0.113.9", "what a client sends changes no hop of the proxies");
    const auto address = client_address(input, rule);
    if (!address || address->empty()) continue;
    must(is_numeric_address(*address), "a client's address is a numeric address");
    if (is_forwarded) continue;
    must(*client_address(*address, rule) == *address, "an address alone is the client");
    must(*client_address("6.6.6.6, " + std::string(input), rule) == *address || is_inside(*address),
         "a hop that a client adds changes nothing, unless all others are trusted proxies");
  }
}

void fuzz_cors(std::string_view input) {
  static const CorsRule kRule =
      *CorsRule::make({"https://app.example.com", "http://localhost:5173", "https://*.example.org:8443"}, {});
  if (kRule.allows(input)) {
    constexpr std::string_view kHead = "https://";
    constexpr std::string_view kTail = ".example.org:8443";
    const bool is_exact = input == "https://app.example.com" || input == "http://localhost:5173";
    const bool is_below =
        input.starts_with(kHead) && input.ends_with(kTail) &&
        input.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.", kHead.size()) == input.size() - 5;
    must(is_exact || is_below, "an allowed origin is in the list, or below a listed suffix");
    must(input.find("..") == std::string_view::npos && !input.starts_with("https://."),
         "an allowed origin has no empty label");
  }
  // The input as a configured origin.  An accepted origin is also written into nginx's configuration.
  const std::string origin(input);
  const auto rule = CorsRule::make({origin}, {});
  if (!rule) {
    must(!has_control(rule.error()), "a refusal is one line");
    return;
  }
  must(input.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.:/[]*+") == std::string_view::npos,
       "an accepted origin has no character that could end a string or a line");
  must(rule->allows(origin) == (origin.find('*') == std::string::npos),
       "an origin without \"*\" allows itself");
  must(!rule->allows(origin + ".evil.test") && !rule->allows("null") && !rule->allows(""),
       "other origins are not allowed");
  if (origin != "https://evil.test")
    must(!rule->allows("https://evil.test"), "an unrelated origin is not allowed");
  if (origin.find('*') != std::string::npos) {
    const std::string tail = origin.substr(origin.find('*') + 1);
    must(rule->allows("https://a" + tail) && rule->allows("https://a.b" + tail), "\"*\" stands for labels");
    must(!rule->allows("https://evil.test/" + tail) && !rule->allows("https://" + tail.substr(1)) &&
             !rule->allows("https://evil.test?" + tail) && !rule->allows("https://a@b" + tail),
         "\"*\" stands for labels only");
  }
}

}  // namespace tailgate::testing
