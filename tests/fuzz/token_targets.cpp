// Tokens and keys.  The public keys are fixed and their private halves gone: what they signed is in
// keys/genuine.txt, and whatever else is believed is a forgery.
#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "gateway/auth/authenticator.h"
#include "gateway/auth/claims.h"
#include "gateway/auth/jwt.h"
#include "gateway/text/json.h"
#include "gateway/text/text.h"
#include "tests/fuzz/fixture.h"
#include "tests/fuzz/reference_json.h"
#include "tests/fuzz/target.h"
#include "tests/support/signing_key.h"

namespace tailgate::testing {

namespace {

constexpr WallTime kNow{std::chrono::seconds(1'700'000'000)};
constexpr std::string_view kSecret = "the fuzzer knows this secret, too";

constexpr std::array kPublic = {Algorithm::kRS256, Algorithm::kRS384, Algorithm::kRS512, Algorithm::kPS256,
                                Algorithm::kES256, Algorithm::kES384, Algorithm::kEdDSA};
constexpr std::array kShared = {Algorithm::kHS256, Algorithm::kHS384, Algorithm::kHS512};

// One provider with public keys, one with a secret; routes ask for either.
class Parties {
 public:
  Parties() {
    public_.name = "public";
    public_.algorithms.assign(kPublic.begin(), kPublic.end());
    public_.jwks = {"file:keys"};
    auto parsed = parse_jwks(whole_file("tests/fuzz/keys/jwks.json"));
    must(static_cast<bool>(parsed) && parsed->skipped.empty(), "the fixed keys are good");
    keys_ = std::make_shared<const KeySet>(std::move(parsed->keys));
    shared_.name = "shared";
    shared_.algorithms.assign(kShared.begin(), kShared.end());
    shared_.secrets = {std::string(kSecret)};
    const std::string genuine = whole_file("tests/fuzz/keys/genuine.txt");
    for (const std::string_view line : split(genuine, '\n')) {
      if (line.empty()) continue;
      genuine_.emplace(line.substr(0, line.rfind('.')));
      whole_.emplace(line);
    }
  }

  Provider provider(const std::string& name) const {
    if (name == "public") return {.rule = &public_, .keys = keys_};
    return {.rule = &shared_, .keys = nullptr};
  }
  bool has_signed(std::string_view text) const { return genuine_.contains(std::string(text)); }
  bool has_made(std::string_view token) const { return whole_.contains(std::string(token)); }

 private:
  ProviderRule public_;
  ProviderRule shared_;
  std::shared_ptr<const KeySet> keys_;
  std::set<std::string> genuine_;  // header "." payload
  std::set<std::string> whole_;    // the same tokens with their signatures
};

const Parties& parties() {
  static const Parties parties;
  return parties;
}

// One provider with a secret and any rules.
class Party {
 public:
  explicit Party(ProviderRule rule) : rule_(std::move(rule)) {}
  Provider provider(const std::string& /*name*/) const { return {.rule = &rule_, .keys = nullptr}; }
  const ProviderRule& rule() const { return rule_; }

 private:
  ProviderRule rule_;
};

Party party_with(unsigned options) {
  ProviderRule rule;
  rule.name = "shared";
  rule.algorithms = {Algorithm::kHS256};
  rule.secrets = {std::string(kSecret)};
  if ((options & 1) != 0) rule.issuer = "https://issuer";
  if ((options & 2) != 0) rule.audience = {"us"};
  if ((options & 4) != 0) rule.authorized_parties = {"app"};
  if ((options & 8) != 0) rule.required = {"exp", "sub"};
  if ((options & 16) != 0) rule.subject = "userId";
  rule.leeway = std::chrono::seconds((options & 32) != 0 ? 5 : 0);
  return Party(std::move(rule));
}

Route bearer_route(std::vector<std::string> providers) {
  Route route;
  route.name = "events";
  route.providers = std::move(providers);
  route.credentials = {{}};
  return route;
}

// A fresh judge each time: what one input was found to be must not speak for the next.
template <typename Providers>
Verdict authenticate(const Providers& providers, const Route& route, std::string_view token) {
  Authenticator authenticator([&providers](const std::string& name) { return providers.provider(name); });
  const std::string header = "Bearer " + std::string(token);
  const RequestParts request{.query = {}, .header = [&header](const char* name) {
                               return std::string_view(name) == "authorization"
                                          ? std::optional<std::string_view>(header)
                                          : std::nullopt;
                             }};
  Verdict verdict = authenticator.authenticate(route, request, kNow, Authenticator::UnknownKid::kRefuse);
  const Verdict again = authenticator.authenticate(route, request, kNow, Authenticator::UnknownKid::kRefuse);
  must(word_of(verdict) == word_of(again) && verdict.identity == again.identity,
       "what is remembered is what was found");
  return verdict;
}

// With OpenSSL's own HMAC.
bool secret_has_signed(std::string_view text, std::string_view mac) {
  for (const EVP_MD* md : {EVP_sha256(), EVP_sha384(), EVP_sha512()}) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    HMAC(md, kSecret.data(), static_cast<int>(kSecret.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data(), &size);
    if (mac == std::string_view(reinterpret_cast<const char*>(out.data()), size)) return true;
  }
  return false;
}

// Header, payload and signature apart, so that the fuzzer need not learn base64; a signature "!" is made
// with the secret.
std::string token_of(std::string_view input) {
  if (!input.starts_with('{')) return std::string(input);
  Pieces pieces(input);
  const std::string text = base64url_encode(pieces.text()) + '.';
  const std::string signed_text = text + base64url_encode(pieces.text());
  const std::string_view signature = pieces.rest();
  if (signature != "!") return signed_text + '.' + base64url_encode(signature);
  std::array<unsigned char, 32> mac{};
  HMAC(EVP_sha256(), kSecret.data(), static_cast<int>(kSecret.size()),
       reinterpret_cast<const unsigned char*>(signed_text.data()), signed_text.size(), mac.data(), nullptr);
  return signed_text + '.' + base64url_encode({reinterpret_cast<char*>(mac.data()), mac.size()});
}

void check_parsed(const Jwt& jwt, std::string_view token) {
  must(token.size() <= kMaxTokenBytes, "a token is bounded");
  must(std::string(jwt.signed_text) + '.' + base64url_encode(jwt.signature) == token,
       "a token has one spelling");
  const auto parts = split(token, '.');
  must(parts.size() == 3 && base64url_encode(jwt.payload) == parts[1], "the payload is the second part");
  const auto header = reference_json(without_differences(*base64url_decode(parts[0])));
  const auto payload = reference_json(without_differences(jwt.payload));
  must(header && header->is_object() && payload && payload->is_object(), "both are objects to others, too");
  must((*header)["alg"] == name_of(jwt.algorithm), "the algorithm is what others read");
  must(!header->contains("crit"), "no critical extension is understood");
  if (const auto exact = reference_json(*base64url_decode(parts[0]))) {
    must(exact->contains("kid") == jwt.kid.has_value() && (!jwt.kid || (*exact)["kid"] == *jwt.kid),
         "the kid is what others read");
  }
}

// ---- claims ---------------------------------------------------------------------------------------

bool is_absent(const nlohmann::json& claims, const std::string& name) {
  return !claims.contains(name) || claims[name].is_null() || claims[name] == "";
}

bool names_one_of(const nlohmann::json& claims, const std::string& name,
                  const std::vector<std::string>& good) {
  if (!claims.contains(name) || !claims[name].is_string()) return false;
  return std::find(good.begin(), good.end(), claims[name].get<std::string>()) != good.end();
}

// Milliseconds; nothing if it is no number.
std::optional<long long> date_in(const nlohmann::json& claims, const char* name) {
  if (!claims[name].is_number()) return std::nullopt;
  return std::llround(std::clamp(claims[name].get<double>(), -253402300799.0, 253402300799.0) * 1000);
}

// claims.h once more, in nlohmann-json and from its words alone.
std::string expected_word(const nlohmann::json& claims, const ProviderRule& rule,
                          std::string_view subject_raw) {
  for (const std::string& name : rule.required) {
    if (is_absent(claims, name)) return "401-claims";
  }
  const long long now = kNow.time_since_epoch().count();
  const long long leeway = std::chrono::milliseconds(rule.leeway).count();
  bool expired = false;
  bool early = false;
  for (const char* name : {"exp", "nbf", "iat"}) {
    if (!claims.contains(name)) continue;
    const auto date = date_in(claims, name);
    if (!date) return "401-claims";
    if (std::string_view(name) == "exp") {
      expired = *date + leeway <= now;
    } else {
      early = early || *date > now + leeway;
    }
  }
  if (expired) return "401-expired";
  if (early) return "401-early";
  if (!rule.issuer.empty() && !names_one_of(claims, "iss", {rule.issuer})) return "401-issuer";
  if (!rule.audience.empty()) {
    bool good = names_one_of(claims, "aud", rule.audience);
    if (claims.contains("aud") && claims["aud"].is_array()) {
      const auto& list = claims["aud"];
      const bool all_texts =
          std::all_of(list.begin(), list.end(), [](const auto& one) { return one.is_string(); });
      good = all_texts && std::any_of(list.begin(), list.end(),
                                      [&](const auto& one) { return one == rule.audience.front(); });
    }
    if (!good) return "401-audience";
  }
  if (!rule.authorized_parties.empty() && !names_one_of(claims, "azp", rule.authorized_parties)) {
    return "401-party";
  }
  if (!claims.contains(rule.subject)) return "401-subject";
  const auto& subject = claims[rule.subject];
  if (subject.is_number_integer()) return subject_raw == "-0" ? "401-subject" : "ok";
  if (!subject.is_string()) return "401-subject";
  const auto text = subject.get<std::string>();
  const bool is_good = !text.empty() && text.size() <= 256 && !has_control(text) &&
                       text.find("\xEF\xBF\xBD") == std::string::npos;
  return is_good ? "ok" : "401-subject";
}

}  // namespace

void fuzz_token(std::string_view input) {
  const std::string token = token_of(input);
  const auto parsed = parse_jwt(token);
  const Jwt* jwt = std::get_if<Jwt>(&parsed);
  if (jwt != nullptr) check_parsed(*jwt, token);

  for (const auto& providers : {std::vector<std::string>{"public"}, {"shared"}, {"public", "shared"}}) {
    const Verdict verdict = authenticate(parties(), bearer_route(providers), token);
    must(verdict.kind == Verdict::Kind::kOk || verdict.kind == Verdict::Kind::kRefused,
         "with keys at hand there is a verdict");
    if (verdict.kind != Verdict::Kind::kOk) {
      must(providers.front() != "public" || !parties().has_made(token), "a genuine token is believed");
      const bool is_malformed = verdict.refusal == Refusal::kMalformed;
      if (!trim(token).empty() && trim(token) == token) {
        must(jwt != nullptr || is_malformed || verdict.refusal == Refusal::kAlgorithm,
             "what is no token is malformed");
      }
      continue;
    }
    must(jwt != nullptr, "what is believed is a token");
    const bool is_public = parties().has_signed(jwt->signed_text);
    const bool is_shared = secret_has_signed(jwt->signed_text, jwt->signature);
    must(verdict.identity.provider == "public" ? is_public : is_shared, "nobody forges");
    must(std::find(providers.begin(), providers.end(), verdict.identity.provider) != providers.end(),
         "the route's providers alone are believed");
    must(is_subject(verdict.identity.user), "whoever is believed has a name");
    must(!verdict.identity.until || *verdict.identity.until > kNow, "nobody is believed beyond his time");
  }
}

void fuzz_claims(std::string_view input) {
  Pieces pieces(input);
  const Party party = party_with(pieces.byte());
  const ProviderRule& rule = party.rule();
  const std::string_view payload = pieces.rest();
  const std::string token = sign_token(kSecret, Algorithm::kHS256, payload);
  const Verdict verdict = authenticate(party, bearer_route({"shared"}), token);
  const std::string word = word_of(verdict);

  const auto claims = reference_json(payload);
  if (!claims) {
    if (without_differences(payload) == payload)
      must(word == "401-malformed", "what is no JSON is malformed");
    return;
  }
  // A provider is chosen by its issuer before anything is looked at.
  Members members;
  if (!claims->is_object() || !members.read(payload) || members.has_duplicates() ||
      token.size() > kMaxTokenBytes) {
    must(word == "401-malformed", "no object, a member twice, too long: malformed");
    return;
  }
  const bool is_other = !rule.issuer.empty() && !names_one_of(*claims, "iss", {rule.issuer});
  const JsonValue* subject = members.find(rule.subject);
  const std::string_view subject_raw = subject == nullptr ? std::string_view() : subject->raw;
  const std::string expected = is_other ? "401-issuer" : expected_word(*claims, rule, subject_raw);
  // Beyond 64 bits nlohmann-json makes a double of an integer.
  const bool is_huge =
      subject != nullptr && subject->kind == JsonValue::Kind::kNumber && subject->raw.size() > 18;
  must(word == expected || (is_huge && (word == "ok" || word == "401-subject")),
       "the verdict is that of the rules");
  if (word == "ok" && subject->is_string()) {
    must(verdict.identity.user == (*claims)[rule.subject].get<std::string>(), "the user is the subject");
  } else if (word == "ok") {
    must(verdict.identity.user == subject->raw && subject->raw != "-0", "a number is its digits");
  }
}

void fuzz_jwks(std::string_view input) {
  if (const auto source = parse_jwks_source(input)) {
    const bool is_file = !source->file.empty();
    must(is_file || (source->path.starts_with('/') && source->path.find(' ') == std::string::npos &&
                     !has_control(source->path) && !has_control(source->authority)),
         "an address goes into a request as it is");
    must(!has_control(source->file) &&
             (is_file || !source->server.unix_path.empty() || source->server.port != 0),
         "a source is one");
  }
  const auto parsed = parse_jwks(input);
  if (!parsed) {
    must(!has_control(parsed.error()), "a refusal is one line");
    return;
  }
  must(parsed->keys.size() <= kMaxKeys && parsed->skipped.size() <= 8, "what one takes is bounded");
  for (const std::string& sentence : parsed->skipped) {
    must(!has_control(sentence) && sentence.size() < 200, "a key's fault is told in one line");
  }
  const auto json = reference_json(without_differences(input));
  must(json && json->is_object() && (*json)["keys"].is_array(), "it is a JWKS to others, too");
  must(parsed->keys.size() + parsed->skipped.size() <= (*json)["keys"].size(), "no key comes from nothing");
  for (const VerificationKey& key : parsed->keys) {
    must(!key.kid || key.kid->size() <= 256, "a kid is bounded");
    for (const Algorithm algorithm : kShared) must(!key.fits(algorithm), "a public key is no secret");
    must(!key.algorithm || key.key.fits(*key.algorithm), "a key fits its own algorithm");
    const auto families = std::count_if(kPublic.begin(), kPublic.end(),
                                        [&key](Algorithm algorithm) { return key.key.fits(algorithm); });
    must(families == (key.key.family() == PublicKey::Family::kRsa ? 4 : 1), "a key has one family");
    // As OpenSSL reads the key back.
    const std::string der = key.key.der();
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    EVP_PKEY* again = d2i_PUBKEY(nullptr, &bytes, static_cast<long>(der.size()));
    must(again != nullptr, "a key is one to OpenSSL");
    const int bits = EVP_PKEY_get_bits(again);
    if (key.key.family() == PublicKey::Family::kRsa) must(bits >= 2048 && bits <= 8192, "RSA has its bounds");
    EVP_PKEY_free(again);
    must(!key.key.verifies(*std::find_if(kPublic.begin(), kPublic.end(),
                                         [&key](Algorithm one) { return key.key.fits(one); }),
                           "text", std::string(64, '\0')),
         "nothing but zeros is no signature");
  }
  const KeySet set(parsed->keys);
  must(set.fingerprint() == KeySet(parse_jwks(input)->keys).fingerprint(), "the same keys look the same");
  for (const VerificationKey& key : set.keys()) {
    const auto found = set.candidates(key.kid);
    must(std::find(found.begin(), found.end(), &key) != found.end(), "a key is found by its kid");
  }
}

}  // namespace tailgate::testing
