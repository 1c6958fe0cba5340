#include "gateway/endpoints/request_handler.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "gateway/auth/credentials.h"
#include "gateway/auth/refusal.h"
#include "gateway/base/result.h"
#include "gateway/endpoints/target.h"
#include "gateway/routes/framing.h"
#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::size_t kMaxRequestId = 128;

bool is_request_id(std::string_view text) {
  return text.size() <= kMaxRequestId && is_visible_ascii(text);
}

bool has_header(const HttpHeaders& headers, std::string_view name) {
  return std::ranges::find(headers, name, &HttpHeaders::value_type::first) != headers.end();
}

std::string allowed_methods(const Route& route) {
  return route.source == Source::kPages ? "GET, HEAD, OPTIONS" : "GET, OPTIONS";
}

// The headers of every answer, errors included.
HttpHeaders common_headers(const Config& config, const Exchange& exchange) {
  HttpHeaders headers;
  if (const auto id = exchange.header("X-Request-ID"); id && is_request_id(*id))
    headers.emplace_back("X-Request-ID", *id);
  if (config.cors.origins().empty()) return headers;
  headers.emplace_back("Vary", "Origin");
  const auto origin = exchange.header("Origin");
  if (!origin || !config.cors.allows(*origin)) return headers;
  headers.emplace_back("Access-Control-Allow-Origin", *origin);
  headers.emplace_back("Access-Control-Allow-Credentials", "true");
  headers.emplace_back("Access-Control-Expose-Headers", "X-Request-ID, Retry-After");
  return headers;
}

// True if the client itself has put credentials into Authorization.  "Basic" does not count: if nginx demands
// a password for the site, a browser adds it to every request, even to that of an EventSource.
bool has_token_header(const Exchange& exchange) {
  constexpr std::string_view kBasic = "basic ";
  const std::string_view value = trim(exchange.header("Authorization").value_or(""));
  return !value.empty() && ascii_lower(value.substr(0, kBasic.size())) != kBasic;
}

// By default, true for a native EventSource: it accepts text/event-stream and cannot set other headers.
bool wants_sse(const Route& route, const Exchange& exchange) {
  switch (route.on_unavailable) {
    case OnUnavailable::kStatus:
      return false;
    case OnUnavailable::kSse:
      return true;
    case OnUnavailable::kAuto:
      break;
  }
  const auto accept = exchange.joined_header("Accept");
  return accept && ascii_lower(*accept).find("text/event-stream") != std::string::npos &&
         !has_token_header(exchange) && exchange.header("X-Session-Id").value_or("").empty();
}

bool is_in_query(const Credential& place) {
  return place.kind == Credential::Kind::kTokenQuery || place.kind == Credential::Kind::kSessionQuery;
}

// Replaces each control character except the tab by a space (RFC 9110 section 5.5).  Returns true if there
// was one.
bool replace_controls(std::string& text) {
  bool found = false;
  for (char& c : text) {
    if (c == '\t' || !has_control({&c, 1})) continue;
    c = ' ';
    found = true;
  }
  return found;
}

// All hops of Forwarded.  nginx 1.22 cannot append to several lines of a header, so it sends its own hop in
// X-Tailgate-Hop.
std::string forwarded_hops(const Exchange& exchange) {
  std::string hops = exchange.joined_header("Forwarded").value_or("");
  const std::string_view own = exchange.header("X-Tailgate-Hop").value_or("");
  if (!hops.empty() && !own.empty()) hops += ", ";
  return hops.append(own);
}

bool is_credential(const Route& route, const std::string& header) {
  return header == "authorization" || header == "x-session-id" ||
         std::ranges::any_of(route.credentials, [&header](const Credential& place) {
           return place.kind == Credential::Kind::kSessionHeader && ascii_lower(place.name) == header;
         });
}

// Copies the caller's headers for the application.  Returns false if the application decides who the caller
// is, and a token or session id among the headers has a control character.
bool copy_headers(const Request& request, HttpHeaders& caller) {
  const Exchange& exchange = *request.exchange;
  for (const std::string& name : request.route->record->forward) {
    const bool is_judged = is_credential(*request.route, name);
    // If a request has a credential header twice, the application gets the first one, which /auth judges.
    std::string value = is_judged             ? std::string(exchange.header(name.c_str()).value_or(""))
                        : name == "forwarded" ? forwarded_hops(exchange)
                                              : exchange.joined_header(name).value_or("");
    if (value.empty()) continue;
    if (replace_controls(value) && is_judged && request.route->auth == AuthBy::kApplication) return false;
    caller.emplace_back(name, std::move(value));
  }
  return true;
}

// Copies the caller's headers for the application.  Credentials in the query, where an EventSource must put
// them, become the header that the application reads.  Returns false if the application decides who the
// caller is, and a token or session id is blank in the query or has a control character.
bool collect_for_application(Request& request, const Query& query) {
  HttpHeaders& caller = request.parameters->caller;
  if (!copy_headers(request, caller)) return false;
  bool has_token = has_header(caller, "authorization") &&
                   !bearer_token(request.exchange->header("Authorization").value_or("")).empty();
  bool has_session = has_header(caller, "x-session-id");
  for (const Credential& place : request.route->credentials) {
    const std::string* value = is_in_query(place) ? query.find_non_empty(place.name) : nullptr;
    if (value == nullptr) continue;
    // The application would read a blank token as no token, and take a cookie instead.
    if (has_control(*value) || trim(*value).empty()) {
      if (request.route->auth == AuthBy::kApplication) return false;
      continue;
    }
    const bool is_token = place.kind == Credential::Kind::kTokenQuery;
    if (std::exchange(is_token ? has_token : has_session, true)) continue;
    // Replaces a header without a token, for example the password of the site, which a browser adds.
    if (is_token) std::erase_if(caller, [](const auto& header) { return header.first == "authorization"; });
    caller.emplace_back(is_token ? "authorization" : "x-session-id", is_token ? "Bearer " + *value : *value);
  }
  return true;
}

// The point at which a client resumes its stream.
struct Resume {
  std::optional<EntryId> after;  // the last entry
  bool saw_end = false;          // the id of `after` came inside "end.<entry id>"
  bool saw_plain_end = false;    // the client sent the id "end", which names no entry

  bool is_known() const { return saw_plain_end || after; }
};

// `id` is the id of an entry, or the id of a stream's end: "end" or "end.<entry id>".
Resume resume_at(std::string_view id) {
  if (id == kEndId) return {.after = {}, .saw_plain_end = true};
  const auto end = parse_end_id(id);
  return {.after = end ? end : EntryId::parse(id), .saw_end = end.has_value()};
}

// The query parameters that hold the last event's id.  Client libraries that cannot set the header spell them
// in these ways.
constexpr std::array<std::string_view, 3> kResumeNames{"last_event_id", "lastEventId", "Last-Event-ID"};

// The later of two points.  A request may have several, because some libraries add their parameter or header
// to one that the page has set.  The highest id is the newest.
Resume latest(const Resume& a, const Resume& b) {
  Resume newest = a.after > b.after ? a : b;
  if (a.after == b.after) newest.saw_end = a.saw_end || b.saw_end;
  // "end" is later than every other id.
  newest.saw_plain_end = a.saw_plain_end || b.saw_plain_end;
  return newest;
}

// Where the query says that the stream resumes.  Skips the parts of the query that cannot be decoded.  Puts
// the name of a parameter whose id is not valid into `malformed`.
Resume resume_from(std::string_view query_text, std::string& malformed) {
  Resume newest;
  for (const std::string_view part : split(query_text, '&')) {
    const auto query = Query::parse(part);
    if (!query || query->all().empty()) continue;
    const auto& [name, value] = query->all().front();
    if (!contains(kResumeNames, name)) continue;
    const Resume given = resume_at(value);
    if (!given.is_known()) malformed = name;
    newest = latest(newest, given);
  }
  return newest;
}

// Where the header says that the stream resumes.  A browser's fetch() joins several ids by commas.
Resume resume_from_header(const Exchange& exchange) {
  Resume newest;
  const std::string ids = exchange.joined_header("Last-Event-ID").value_or("");
  for (const std::string_view id : split(ids, ',')) newest = latest(newest, resume_at(trim(id)));
  return newest;
}

// Reads which page the client requests, or where it resumes its stream.
Status read_position(Request& request, const std::optional<Query>& query, std::string_view query_text) {
  const Source source = request.route->source;
  RequestParameters& parameters = *request.parameters;
  if (!query && source != Source::kChannel) {
    return Error{"query: has a \"%\" that two hexadecimal digits do not follow"};
  }
  if (source == Source::kPages) {
    const auto page = parse_page_query(*query, *request.route);
    if (!page) return Error{page.error()};
    parameters.page = *page;
    return {};
  }
  std::string malformed;
  const Resume by_query = resume_from(query_text, malformed);
  // The ids of a channel's events can be any text, so no id is malformed there.
  if (!malformed.empty() && source == Source::kLog) {
    return Error{
        malformed +
        ": must be a complete entry id, two whole numbers joined by \"-\" as in 1700000000000-0, or the "
        "id of a stream's end"};
  }
  const Resume by_header = resume_from_header(*request.exchange);
  const Resume& resume = by_header.is_known() ? by_header : by_query;
  parameters.saw_end = resume.saw_end || resume.saw_plain_end;
  parameters.resume = resume.after;
  return {};
}

}  // namespace

void RequestHandler::answer_preflight(Request& request) const {
  HttpHeaders headers = std::move(request.parameters->headers);
  if (has_header(headers, "Access-Control-Allow-Origin")) {
    headers.emplace_back("Access-Control-Allow-Methods", allowed_methods(*request.route));
    headers.emplace_back("Access-Control-Allow-Headers", request.config->cors.allowed_headers());
    headers.emplace_back("Access-Control-Max-Age", "86400");
  }
  resources_.drain.add_close(headers);
  request.exchange->answer(204, headers, "");
}

void RequestHandler::refuse_identity(Request request, Refusal refusal) {
  resources_.answers.refuse(std::move(request), 401, sentence_of(refusal),
                            {{"WWW-Authenticate", challenge_for(refusal)}});
}

// Puts the proven identity into the request.
bool RequestHandler::identify(Request& request) {
  const Route& route = *request.route;
  if (route.who == Who::kAnyone || route.auth == AuthBy::kApplication) return true;
  const auto sealed = request.exchange->header("X-Tailgate-Identity");
  if (!sealed || sealed->empty()) {
    // nginx forwards the verdict of /auth.  A caller who forges it can only choose the kind of refusal.
    const std::string_view verdict = request.exchange->header("X-Tailgate-Verdict").value_or("");
    if (verdict.starts_with("503")) {
      resources_.answers.answer_unavailable(std::move(request), Unavailable::kAuth);
      return false;
    }
    const auto refusal = verdict.starts_with("401-") ? refusal_named(verdict.substr(4)) : std::nullopt;
    refuse_identity(std::move(request), refusal.value_or(Refusal::kMissing));
    return false;
  }
  const WallTime now = std::chrono::floor<WallTime::duration>(std::chrono::system_clock::now());
  const auto opened = resources_.seal.open(*sealed, route.name, request.id, now);
  switch (opened.outcome) {
    case IdentitySeal::Outcome::kForged:
      refuse_identity(std::move(request), Refusal::kMissing);
      return false;
    case IdentitySeal::Outcome::kExpired:
      resources_.answers.answer_unavailable(std::move(request), Unavailable::kAuth);
      return false;
    case IdentitySeal::Outcome::kGenuine:
      break;
  }
  request.user = opened.identity.user;
  request.session = opened.identity.session;
  const ProviderRule* provider = request.config->provider(opened.identity.provider);
  if (opened.identity.until && provider != nullptr && provider->end_at_expiry) {
    // A token may expire in the year 9999, but a count of nanoseconds overflows after 292 years.
    constexpr std::chrono::hours kFarthest(100 * 365 * 24);
    const auto left = std::min<WallTime::duration>(*opened.identity.until - now, kFarthest);
    request.expires = Loop::now() + std::chrono::duration_cast<Clock::duration>(left);
  }
  return true;
}

bool RequestHandler::read_parameters(Request& request, std::string_view query_text) {
  const auto query = Query::parse(query_text);
  if (const Status read = read_position(request, query, query_text); !read) {
    resources_.answers.refuse(std::move(request), 422, read.error());
    return false;
  }
  const RecordRule* record = request.route->record;
  if (record == nullptr || record->kind != RecordRule::Kind::kHttp) return true;
  // A query that cannot be decoded may hold a token.
  const bool is_readable = query || std::ranges::none_of(request.route->credentials, is_in_query);
  if (is_readable && collect_for_application(request, query.value_or(Query()))) return true;
  refuse_identity(std::move(request), Refusal::kMalformed);
  return false;
}

// The client's address.  Empty if the header names no address or cannot be read.  Then the stream is not
// counted by address.
std::string RequestHandler::address_of(const Request& request) {
  const ClientAddressRule& rule = request.config->limits.client_address;
  const bool is_forwarded = rule.header == ClientAddressRule::Header::kForwarded;
  const std::string hops = is_forwarded ? forwarded_hops(*request.exchange)
                                        : request.exchange->joined_header("X-Forwarded-For").value_or("");
  const auto address = client_address(hops, rule);
  if (address) return *address;
  if (address_errors_.open(Loop::now())) {
    log_error("address.refused", {{"why", address.error() + ", so the stream is not counted by address"},
                                  {"held_back", address_errors_.take_held_back()}});
  }
  return {};
}

bool RequestHandler::take_ticket(Request& request) {
  const Limits& limits = request.config->limits;
  const std::string address = limits.streams.per_address == 0 ? std::string() : address_of(request);
  std::string user;
  if (!request.user.empty()) {
    user = "u:" + request.user;
  } else if (!request.session.empty()) {
    user = "s:" + request.session;
  }
  request.ticket = limits_.take(limits.streams, user, address);
  if (request.ticket != nullptr) return true;
  resources_.answers.answer_unavailable(std::move(request), Unavailable::kLimit);
  return false;
}

void RequestHandler::handle(std::unique_ptr<Exchange> exchange) {
  Request request;
  request.parameters = std::make_unique<RequestParameters>();
  request.config = resources_.config;
  request.exchange = std::move(exchange);
  request.parameters->headers = common_headers(*request.config, *request.exchange);
  const Target target = split_target(request.exchange->target());

  auto match = find_route(request.config->routes, target.path);
  if (!match) {
    ++unrouted_;
    request.parameters->headers.emplace_back("Content-Type", "application/json");
    resources_.drain.add_close(request.parameters->headers);
    request.exchange->answer(404, request.parameters->headers, R"({"detail":"Not found"})");
    return;
  }
  request.route = match->route;
  request.id = std::move(match->id);
  request.unavailable_as_sse = wants_sse(*request.route, *request.exchange);

  const std::string_view method = request.exchange->method();
  const bool is_page = request.route->source == Source::kPages;
  if (method == "OPTIONS" && !request.exchange->header("Access-Control-Request-Method").value_or("").empty())
    return answer_preflight(request);
  if (method != "GET" && !(method == "HEAD" && is_page)) {
    const std::string allowed = allowed_methods(*request.route);
    resources_.answers.refuse(std::move(request), 405, kMethodMessage, {{"Allow", allowed}});
    return;
  }
  if (!identify(request) || !read_parameters(request, target.query)) return;
  if (resources_.memory.is_tight())
    return resources_.answers.answer_unavailable(std::move(request), Unavailable::kMemory);
  if (!is_page && !take_ticket(request)) return;
  if (resources_.drain.refuses())
    return resources_.answers.answer_unavailable(std::move(request), Unavailable::kDraining);
  serve(std::move(request));
}

void RequestHandler::serve(Request request) {
  Streams& streams = resources_.streams;
  switch (request.route->source) {
    case Source::kChannel:
      streams.add(std::make_unique<ChannelStream>(streams, resources_.events, std::move(request))).start();
      break;
    case Source::kLog:
      streams.add(std::make_unique<LogStream>(streams, resources_.logs, std::move(request))).start();
      break;
    case Source::kPages:
      streams.add(std::make_unique<LogPage>(streams, resources_.pages, std::move(request))).start();
      break;
  }
}

void RequestHandler::write_metrics(MetricsText& out) const {
  out.counter("tailgate_unrouted_total", "Requests that matched no route.", unrouted_);
}

}  // namespace tailgate
