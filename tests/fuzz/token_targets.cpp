// Fuzz targets for tokens, claims and keys.  The public keys are fixed and their private keys were deleted.
// keys/genuine.txt has all tokens that they signed; if another token is accepted, it is a forgery.
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

// Two providers: "public" has public keys, "shared" has a secret.
class Parties {
 public:
  Parties() {
    public_.name = "public";
    public_.algorithms.assign(kPublic.begin(), kPublic.end());
    public_.jwks = {"file:keys"};
    auto parsed = parse_jwks(whole_file("tests/fuzz/keys/jwks.json"));
    must(static_cast<bool>(parsed) && parsed->skipped.empty(), "the fixed keys are valid");
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

// One provider with a secret, whose other rules the fuzzer chooses.
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

// A new Authenticator for each call, because a cached verdict must not affect the next input.
template <typename Providers>
Verdict authenticate(const Providers& providers, const Route& route, std::string_view token) {
  Authenticator authenticator([&providers](const std::string& name) { return providers.provider(name); });
  const std::string header = "Bearer " + std::string(token);
  const RequestParts request{.query = {}, .cookies = {}, .header = [&header](const char* name) {
                               return std::string_view(name) == "authorization"
                                          ? std::optional<std::string_view>(header)
                                          : std::nullopt;
                             }};
  Verdict verdict = authenticator.authenticate(route, request, kNow, Authenticator::UnknownKid::kRefuse);
  const Verdict again = authenticator.authenticate(route, request, kNow, Authenticator::UnknownKid::kRefuse);
  must(word_of(verdict) == word_of(again) && verdict.identity == again.identity,
       "the cached verdict equals the first one");
  return verdict;
}

// True if `mac` is an HMAC of `text` with kSecret, computed by OpenSSL.
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

// Builds a token from a header, a payload and a signature, so that the fuzzer need not produce base64.  For
// the signature "!" the token is signed with the secret.
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
  must(token.size() <= kMaxTokenBytes, "a token has at most kMaxTokenBytes");
  must(std::string(jwt.signed_text) + '.' + base64url_encode(jwt.signature) == token,
       "a token has exactly one encoding");
  const auto parts = split(token, '.');
  must(parts.size() == 3 && base64url_encode(jwt.payload) == parts[1], "the payload is the second part");
  const auto header = reference_json(without_differences(*base64url_decode(parts[0])));
  const auto payload = reference_json(without_differences(jwt.payload));
  must(header && header->is_object() && payload && payload->is_object(),
       "nlohmann-json reads header and payload as objects");
  must((*header)["alg"] == name_of(jwt.algorithm), "nlohmann-json reads the same algorithm");
  must(!header->contains("crit"), "a token with critical extensions is refused");
  if (const auto exact = reference_json(*base64url_decode(parts[0]))) {
    must(exact->contains("kid") == jwt.kid.has_value() && (!jwt.kid || (*exact)["kid"] == *jwt.kid),
         "nlohmann-json reads the same kid");
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

// The date in milliseconds; nothing if it is not a number.
std::optional<long long> date_in(const nlohmann::json& claims, const char* name) {
  if (!claims[name].is_number()) return std::nullopt;
  return std::llround(std::clamp(claims[name].get<double>(), -253402300799.0, 253402300799.0) * 1000);
}

// The expected verdict: the rules of claims.h, implemented again with nlohmann-json.
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
         "a token is accepted or refused if all keys are there");
    if (verdict.kind != Verdict::Kind::kOk) {
      must(providers.front() != "public" || !parties().has_made(token), "a genuine token is accepted");
      const bool is_malformed = verdict.refusal == Refusal::kMalformed;
      if (!trim(token).empty() && trim(token) == token) {
        must(jwt != nullptr || is_malformed || verdict.refusal == Refusal::kAlgorithm,
             "text that is not a token is malformed");
      }
      continue;
    }
    must(jwt != nullptr, "accepted text is a token");
    const bool is_public = parties().has_signed(jwt->signed_text);
    const bool is_shared = secret_has_signed(jwt->signed_text, jwt->signature);
    must(verdict.identity.provider == "public" ? is_public : is_shared, "an accepted token is genuine");
    must(std::find(providers.begin(), providers.end(), verdict.identity.provider) != providers.end(),
         "only providers of the route are accepted");
    must(is_subject(verdict.identity.user), "an accepted token has a valid subject");
    must(!verdict.identity.until || *verdict.identity.until > kNow, "an accepted token has not expired");
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
      must(word == "401-malformed", "a payload that is not JSON is malformed");
    return;
  }
  // The issuer is checked before the other claims, because it selects the provider.
  Members members;
  if (!claims->is_object() || !members.read(payload) || members.has_duplicates() ||
      token.size() > kMaxTokenBytes) {
    must(word == "401-malformed", "a payload that is no object, has duplicates or is too long is malformed");
    return;
  }
  const bool is_other = !rule.issuer.empty() && !names_one_of(*claims, "iss", {rule.issuer});
  const JsonValue* subject = members.find(rule.subject);
  const std::string_view subject_raw = subject == nullptr ? std::string_view() : subject->raw;
  const std::string expected = is_other ? "401-issuer" : expected_word(*claims, rule, subject_raw);
  // nlohmann-json reads an integer of more than 64 bits as a double.
  const bool is_huge =
      subject != nullptr && subject->kind == JsonValue::Kind::kNumber && subject->raw.size() > 18;
  must(word == expected || (is_huge && (word == "ok" || word == "401-subject")),
       "the verdict follows the rules of claims.h");
  if (word == "ok" && subject->is_string()) {
    must(verdict.identity.user == (*claims)[rule.subject].get<std::string>(), "the user is the subject");
  } else if (word == "ok") {
    must(verdict.identity.user == subject->raw && subject->raw != "-0", "a numeric subject keeps its digits");
  }
}

void fuzz_jwks(std::string_view input) {
  if (const auto source = parse_jwks_source(input)) {
    const bool is_file = !source->file.empty();
    must(is_file || (source->path.starts_with('/') && source->path.find(' ') == std::string::npos &&
                     !has_control(source->path) && !has_control(source->authority)),
         "an address can be written into a request");
    must(!has_control(source->file) &&
             (is_file || !source->server.unix_path.empty() || source->server.port != 0),
         "a source is a file, a socket or a host");
  }
  const auto parsed = parse_jwks(input);
  if (!parsed) {
    must(!has_control(parsed.error()), "a refusal is one line");
    return;
  }
  must(parsed->keys.size() <= kMaxKeys && parsed->skipped.size() <= 8,
       "the numbers of keys and of reports are bounded");
  for (const std::string& sentence : parsed->skipped) {
    must(!has_control(sentence) && sentence.size() < 200, "the report on a skipped key is one short line");
  }
  const auto json = reference_json(without_differences(input));
  must(json && json->is_object() && (*json)["keys"].is_array(), "nlohmann-json finds a list of keys");
  must(parsed->keys.size() + parsed->skipped.size() <= (*json)["keys"].size(),
       "there are no more keys than elements");
  for (const VerificationKey& key : parsed->keys) {
    must(!key.kid || key.kid->size() <= 256, "a kid has at most 256 bytes");
    for (const Algorithm algorithm : kShared)
      must(!key.fits(algorithm), "a public key fits no symmetric algorithm");
    must(!key.algorithm || key.key.fits(*key.algorithm), "a key fits its own algorithm");
    const auto families = std::count_if(kPublic.begin(), kPublic.end(),
                                        [&key](Algorithm algorithm) { return key.key.fits(algorithm); });
    must(families == (key.key.family() == PublicKey::Family::kRsa ? 4 : 1),
         "a key fits the algorithms of one family");
    // OpenSSL must be able to read the DER.
    const std::string der = key.key.der();
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    EVP_PKEY* again = d2i_PUBKEY(nullptr, &bytes, static_cast<long>(der.size()));
    must(again != nullptr, "OpenSSL reads the key's DER");
    const int bits = EVP_PKEY_get_bits(again);
    if (key.key.family() == PublicKey::Family::kRsa)
      must(bits >= 2048 && bits <= 8192, "an RSA key has 2048 to 8192 bits");
    EVP_PKEY_free(again);
    must(!key.key.verifies(*std::find_if(kPublic.begin(), kPublic.end(),
                                         [&key](Algorithm one) { return key.key.fits(one); }),
                           "text", std::string(64, '\0')),
         "a signature of zeros is refused");
  }
  const KeySet set(parsed->keys);
  must(set.fingerprint() == KeySet(parse_jwks(input)->keys).fingerprint(),
       "the fingerprint depends only on the keys");
  for (const VerificationKey& key : set.keys()) {
    const auto found = set.candidates(key.kid);
    must(std::find(found.begin(), found.end(), &key) != found.end(), "a key is found by its kid");
  }
}

}  // namespace tailgate::testing
