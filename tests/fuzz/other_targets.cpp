// Fuzz targets for the configuration, key templates, an HTTP server's answer, and the sealed identity.
#include <openssl/hmac.h>

#include <algorithm>
#include <array>

#include "gateway/auth/credentials.h"
#include "gateway/auth/identity_seal.h"
#include "gateway/http/answer.h"
#include "gateway/routes/key_template.h"
#include "gateway/routes/path_pattern.h"
#include "gateway/text/text.h"
#include "tests/fuzz/fixture.h"
#include "tests/fuzz/target.h"

namespace tailgate::testing {

namespace {

constexpr std::size_t kMaxBody = 300;
constexpr WallTime kNow{std::chrono::seconds(1'700'000'000)};
constexpr WallTime kLater = kNow + std::chrono::seconds(60);

HttpAnswerReader read_answer(std::string_view bytes, std::size_t piece) {
  HttpAnswerReader reader(kMaxBody);
  while (!bytes.empty()) {
    if (reader.feed(bytes.substr(0, piece)) != HttpAnswerReader::State::kMore) break;
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  return reader;
}

bool is_lower_token(std::string_view text) {
  return !text.empty() && text.find_first_of(" \t\r\n:\"(),/;<=>?@[\\]{}") == std::string_view::npos &&
         ascii_lower(text) == text && !has_control(text);
}

std::string netstring(std::string_view part) {
  return std::to_string(part.size()) + ':' + std::string(part);
}

// A sealed identity in the format of identity_seal.h with any payload, made without IdentitySeal.
std::string sealed_by_hand(std::string_view key, std::string_view route, std::string_view job,
                           std::string_view payload) {
  const std::string text =
      netstring("tailgate-identity-v1") + netstring(route) + netstring(job) + netstring(payload);
  std::array<unsigned char, 32> mac{};
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), nullptr);
  return "v1." + base64url_encode(payload) + '.' +
         base64url_encode({reinterpret_cast<char*>(mac.data()), mac.size()});
}

}  // namespace

void fuzz_config(std::string_view input) {
  // The first piece is the file.  Each further piece is an override "key=value", as after --set.
  Pieces pieces(input);
  const std::string_view text = pieces.text();
  std::vector<std::pair<std::string, std::string>> overrides;
  while (!pieces.done() && overrides.size() < 4) {
    const std::string_view set = pieces.text();
    const std::size_t equals = set.find('=');
    if (equals != std::string_view::npos)
      overrides.emplace_back(set.substr(0, equals), set.substr(equals + 1));
  }
  const auto loaded = load_config(text, "tailgate.toml", overrides, generous_sources());
  if (!loaded) {
    must(!loaded.error().empty(), "a refusal has a reason");
    for (const std::string_view line : split(loaded.error(), '\n')) {
      must(line.starts_with("tailgate.toml:") || line.starts_with("--set ") ||
               line.starts_with("tailgate.toml"),
           "a finding begins with its place");
      must(!has_control(line), "a finding has no control characters");
    }
    return;
  }
  const Config& config = **loaded;
  must(!config.routes.empty(), "a valid configuration has a route");
  for (const Route& route : config.routes) {
    const std::vector<std::string>& names = route.path.names();
    must(!has_control(route.name) && !has_control(route.key.expand({.names = names, .values = "a/b"})),
         "a route's name and key have no control characters");
    must(route.key.names().size() == names.size(), "a key uses every name of the path");
    must(route.who == Who::kAnyone || route.auth == AuthBy::kApplication || !route.providers.empty() ||
             std::any_of(route.credentials.begin(), route.credentials.end(),
                         [](const Credential& one) {
                           return one.kind == Credential::Kind::kSessionHeader ||
                                  one.kind == Credential::Kind::kSessionQuery;
                         }),
         "a route for owners has a way to prove the identity");
    must(route.who == Who::kAnyone || route.record != nullptr, "a route for owners has a record");
    for (const std::string& name : route.providers) {
      must(config.provider(name) != nullptr, "the providers of a route exist");
    }
    bool matches = false;
    for (const char* id : {"id", "7", "123e4567-e89b-12d3-a456-426614174000"}) {
      const std::string values = std::string(id) + '/' + id;
      const std::string path =
          KeyTemplate::compile(route.path.text())->expand({.names = names, .values = values});
      const auto found = route.path.match(path);
      if (!found) continue;
      matches = true;
      const auto match = find_route(config.routes, path);
      must(match && match->route == &route && match->id == *found, "a path matches only one route");
      must(*found == (names.empty() ? "" : names.size() == 1 ? id : values), "a match has the path's values");
    }
    must(matches, "a route matches its own path");
  }
  for (const auto& provider : config.providers) {
    must(provider->secrets.empty() != provider->jwks.empty(), "a provider has secrets or public keys");
    must(!provider->algorithms.empty(), "a provider has algorithms");
  }
}

// Key templates, and a path with two named segments.
void fuzz_key_template(std::string_view input) {
  static const PathPattern kPath =
      *PathPattern::compile("/orgs/{org}/jobs/{id}", false, *IdRule::make(IdRule::Form::kSegment, ":@"));
  Pieces pieces(input);
  const std::string_view first = pieces.text();
  if (const auto values = kPath.match(first)) {
    must(std::count(values->begin(), values->end(), '/') == 1, "one slash joins the values of two segments");
    const Segments segments{.names = kPath.names(), .values = *values};
    const std::string again =
        "/orgs/" + percent_encode(segments.value(0)) + "/jobs/" + percent_encode(segments.value(1));
    must(kPath.match(again) == values, "values match again when they are encoded");
  }
  const Segments segments{.names = kPath.names(), .values = "acme/eu:7"};
  const auto any = KeyTemplate::compile(first);
  if (any) {
    for (const std::string& name : any->names()) must(is_segment_name(name), "a template uses only names");
    if (first.find_first_of("{}") == std::string_view::npos)
      must(any->expand(segments) == first, "a text without braces stands for itself");
  } else {
    must(first.find_first_of("{}") != std::string_view::npos, "only braces can be wrong");
  }

  // The other pieces are literal texts, with a name after each.
  std::string text;
  std::string expected;
  bool is_org = false;
  while (!pieces.done()) {
    const std::string_view literal = pieces.text();
    for (const char c : literal) text += std::string(c == '{' || c == '}' ? 2 : 1, c);
    expected += literal;
    if (literal.empty() || literal.ends_with('$')) continue;  // "${id}" is refused
    text += is_org ? "{org}" : "{id}";
    expected += is_org ? "acme" : "eu:7";
    is_org = !is_org;
  }
  const auto compiled = KeyTemplate::compile(text);
  must(compiled && compiled->expand(segments) == expected, "doubled braces stand for braces");
}

void fuzz_http_answer(std::string_view input) {
  using State = HttpAnswerReader::State;
  HttpAnswerReader whole = read_answer(input, input.size() + 1);
  HttpAnswerReader bytewise = read_answer(input, 1);
  const State state = whole.feed({}) == State::kMore ? whole.end() : whole.feed({});
  const State other = bytewise.feed({}) == State::kMore ? bytewise.end() : bytewise.feed({});
  must(state == other, "the state does not depend on the pieces");
  must(state != State::kMore, "an answer is complete or broken once the connection has ended");
  if (state == State::kBroken) {
    must(!whole.error().empty() && !has_control(whole.error()), "an error is one line");
  } else {
    const HttpAnswer answer = whole.take();
    const HttpAnswer again = bytewise.take();
    must(answer.status == again.status && answer.headers == again.headers && answer.body == again.body,
         "the answer does not depend on the pieces");
    must(answer.status >= 200 && answer.status <= 599, "a status is from 200 to 599");
    must(answer.body.size() <= kMaxBody, "a body is bounded");
    must(input.find(answer.body) != std::string_view::npos, "a body is a part of the input");
    for (const auto& [name, value] : answer.headers) {
      must(is_lower_token(name) && value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos,
           "a header is one line");
      must(answer.header(name) != nullptr, "a header is found");
    }
    must(answer.header("transfer-encoding") == nullptr, "an answer with Transfer-Encoding is refused");
    if (const std::string* length = answer.header("content-length")) {
      must(answer.body.size() == std::stoul(*length), "a body has its Content-Length");
    }
  }

  // The request: no value may add a line or a word to it.
  Pieces pieces(input);
  const std::string path(pieces.text());
  const std::string authority(pieces.text());
  const std::string name(pieces.text());
  const std::string value(pieces.rest());
  const auto asked = http_get(path, authority, {{name, value}});
  if (!asked) return;
  must(*asked == "GET " + path + " HTTP/1.0\r\nHost: " + authority + "\r\nConnection: close\r\n" + name +
                     ": " + value + "\r\n\r\n",
       "a request holds the path, the authority and the header");
  must(asked->find("\r\n\r\n") == asked->size() - 4, "only the end of a request is an empty line");
  must(std::count(asked->begin(), asked->end(), '\n') == 5 &&
           std::count(asked->begin(), asked->end(), '\r') == 5,
       "a request has four lines and an empty one");
  must(std::count(path.begin(), path.end(), ' ') == 0, "a path has no space");
}

void fuzz_identity(std::string_view input) {
  using Finding = IdentitySeal::Outcome;
  static const std::string kKey(32, 'k');
  static const IdentitySeal kSeal({kKey, std::string(32, 'o')});
  must(kSeal.open(input, "events", "job-1", kNow).outcome == Finding::kForged,
       "an identity without a valid MAC is forged");

  // A sealed identity opens unchanged, and only for its route and job.
  Pieces pieces(input);
  const unsigned options = pieces.byte();
  const std::string route(pieces.text());
  const std::string job(pieces.text());
  Identity identity;
  identity.user = pieces.text();
  identity.session = pieces.text();
  identity.provider = pieces.rest().substr(0, 100);
  if ((options & 1) != 0) identity.until = kNow + std::chrono::milliseconds(options);
  std::string sealed = kSeal.seal(identity, route, job, kLater);
  if (sealed.size() <= 4096) {
    const auto opened = kSeal.open(sealed, route, job, kNow);
    must(opened.outcome == Finding::kGenuine && opened.identity == identity,
         "a sealed identity opens unchanged");
    must(kSeal.open(sealed, route, job, kLater).outcome == Finding::kExpired, "a sealed identity expires");
    must(kSeal.open(sealed, route + "x", job, kNow).outcome == Finding::kForged &&
             kSeal.open(sealed, route, job + "x", kNow).outcome == Finding::kForged,
         "a sealed identity opens for no other route or job");
    if (!job.empty()) {
      must(kSeal.open(sealed, route + job.front(), job.substr(1), kNow).outcome == Finding::kForged,
           "the border between route and job counts");
    }
    char& byte = sealed[(options * 7) % sealed.size()];
    byte = byte == 'A' ? 'B' : 'A';
    must(kSeal.open(sealed, route, job, kNow).outcome == Finding::kForged, "a changed byte makes it forged");
  }

  // Any payload with a valid MAC, as another version of Tailgate may write one.
  const auto opened = kSeal.open(sealed_by_hand(kKey, "events", "job-1", input), "events", "job-1", kNow);
  if (opened.outcome == Finding::kGenuine) {
    const std::string anew = kSeal.seal(opened.identity, "events", "job-1", kLater);
    must(kSeal.open(anew, "events", "job-1", kNow).identity == opened.identity,
         "an opened identity can be sealed again");
  }

  const auto keys = parse_identity_keys(input);
  if (keys) {
    must(!keys->empty() && keys->size() <= 16, "there are 1 to 16 keys");
    for (const std::string& key : *keys) must(key.size() == 32, "a key has 32 bytes");
  } else {
    must(!has_control(keys.error()), "a refusal is one line");
  }
}

}  // namespace tailgate::testing
