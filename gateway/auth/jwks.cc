#include "gateway/auth/jwks.h"

#include <algorithm>
#include <utility>

#include "gateway/text/digest.h"
#include "gateway/text/json.h"
#include "gateway/text/netstring.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::size_t kMaxSkippedSentences = 8;  // so that an issuer's faults do not fill the log
constexpr std::size_t kMaxKidBytes = 256;

// The member `name`, or null if it is absent.  JSON null counts as absent, because some issuers write every
// member of a JWK.
const JsonValue* member_of(const Members& jwk, std::string_view name) {
  const JsonValue* value = jwk.find(name);
  return value == nullptr || value->kind == JsonValue::Kind::kNull ? nullptr : value;
}

// A member that must be a text.
Result<std::string> text_in(const Members& jwk, std::string_view name) {
  const JsonValue* value = member_of(jwk, name);
  if (value == nullptr) return Error{"its " + std::string(name) + " is missing"};
  if (!value->is_string()) return Error{"its " + std::string(name) + " is not a text"};
  return value->text();
}

// The bytes of a member in base64url (RFC 7518 section 2).  Accepts padding and the other alphabet of RFC
// 4648, as PyJWT and Node do.
Result<std::string> bytes_in(const Members& jwk, std::string_view name) {
  auto text = text_in(jwk, name);
  if (!text) return text;
  auto bytes = base64_decode(*text);
  if (!bytes) return Error{"its " + std::string(name) + " is not base64url"};
  if (bytes->empty()) return Error{"its " + std::string(name) + " is empty"};
  return std::move(*bytes);
}

bool has_element(const JsonValue& array, std::string_view wanted) {
  return std::ranges::any_of(json_elements(array.raw), [&](const JsonValue& element) {
    return element.is_string() && element.text() == wanted;
  });
}

Result<PublicKey> rsa_key_of(const Members& jwk) {
  const auto n = bytes_in(jwk, "n");
  if (!n) return Error{n.error()};
  const auto e = bytes_in(jwk, "e");
  if (!e) return Error{e.error()};
  return PublicKey::rsa(*n, *e);
}

Result<PublicKey> ec_key_of(const Members& jwk) {
  const auto crv = text_in(jwk, "crv");
  if (!crv) return Error{crv.error()};
  if (*crv != "P-256" && *crv != "P-384") return Error{"its crv is neither P-256 nor P-384"};
  const auto x = bytes_in(jwk, "x");
  if (!x) return Error{x.error()};
  const auto y = bytes_in(jwk, "y");
  if (!y) return Error{y.error()};
  return PublicKey::ec(*crv == "P-256" ? PublicKey::Family::kP256 : PublicKey::Family::kP384, *x, *y);
}

Result<PublicKey> okp_key_of(const Members& jwk) {
  const auto crv = text_in(jwk, "crv");
  if (!crv) return Error{crv.error()};
  if (*crv != "Ed25519") return Error{"its crv is not Ed25519"};
  const auto x = bytes_in(jwk, "x");
  if (!x) return Error{x.error()};
  return PublicKey::ed25519(*x);
}

Result<PublicKey> public_key_of(const Members& jwk) {
  const auto kty = text_in(jwk, "kty");
  if (!kty) return Error{kty.error()};
  if (*kty == "RSA") return rsa_key_of(jwk);
  if (*kty == "EC") return ec_key_of(jwk);
  if (*kty == "OKP") return okp_key_of(jwk);
  if (*kty == "oct") return Error{"it is a shared secret"};
  return Error{"its kty is none of RSA, EC and OKP"};
}

// An error if the key must not be used to verify signatures.
Status check_purpose(const Members& jwk) {
  if (jwk.has_duplicates()) return Error{"it names a member twice"};
  if (member_of(jwk, "d") != nullptr) return Error{"its private half is published with it"};
  const JsonValue* use = member_of(jwk, "use");
  if (use != nullptr && (!use->is_string() || use->text() != "sig")) return Error{"its use is not \"sig\""};
  const JsonValue* operations = member_of(jwk, "key_ops");
  if (operations == nullptr) return {};
  if (operations->kind != JsonValue::Kind::kArray) return Error{"its key_ops are not a list"};
  if (!has_element(*operations, "verify")) return Error{"its key_ops lack \"verify\""};
  return {};
}

// Reads one JWK: the members that every type of key may have (RFC 7517 section 4), and the public key.
Result<VerificationKey> verification_key_of(const Members& jwk) {
  if (const Status purpose = check_purpose(jwk); !purpose) return Error{purpose.error()};
  std::optional<std::string> kid;
  if (member_of(jwk, "kid") != nullptr) {
    kid = jwk.text_of("kid");
    if (!kid || kid->size() > kMaxKidBytes) return Error{"its kid is not a text of at most 256 bytes"};
  }
  auto key = public_key_of(jwk);
  if (!key) return Error{key.error()};
  std::optional<Algorithm> algorithm;
  if (member_of(jwk, "alg") != nullptr) {
    const auto alg = text_in(jwk, "alg");
    if (!alg) return Error{alg.error()};
    algorithm = algorithm_named(*alg);
    if (!algorithm || !key->fits(*algorithm))
      return Error{"its alg is not one that we verify with such a key"};
  }
  return VerificationKey{.kid = std::move(kid), .algorithm = algorithm, .key = *key};
}

std::string fingerprint_of(const std::vector<VerificationKey>& keys) {
  std::string all;
  for (const VerificationKey& key : keys) {
    append_netstring(all, key.kid ? "kid " + *key.kid : "");
    append_netstring(all, key.algorithm ? name_of(*key.algorithm) : "");
    append_netstring(all, key.key.der());
  }
  const Digest digest = sha256(all);
  return {digest.begin(), digest.end()};
}

// True if `path`, perhaps with a query, is safe in a request line.
bool is_request_path(std::string_view path) {
  return path.starts_with('/') && is_visible_ascii(path);
}

// Reads "name", "name:port", "1.2.3.4:port" or "[::1]:port".
bool read_authority(std::string_view authority, JwksSource& source) {
  auto server = tcp_endpoint(authority);
  // Refuses "[::1%eth0]" and "[name]", which a URL cannot hold.
  if (!server || server->host.find('%') != std::string::npos) return false;
  if (authority.starts_with('[') && server->host.find(':') == std::string::npos) return false;
  source.server = std::move(*server);
  if (source.server.port == 0) source.server.port = 80;
  source.authority = authority;
  return true;
}

}  // namespace

KeySet::KeySet(std::vector<VerificationKey> keys)
    : keys_(std::move(keys)), fingerprint_(fingerprint_of(keys_)) {
}

std::vector<const VerificationKey*> KeySet::candidates(const std::optional<std::string>& kid) const {
  std::vector<const VerificationKey*> named;
  std::vector<const VerificationKey*> without_kid;
  for (const VerificationKey& key : keys_) {
    if (!kid || key.kid == kid) {
      named.push_back(&key);
    } else if (!key.kid) {
      without_kid.push_back(&key);
    }
  }
  auto& fitting = named.empty() ? without_kid : named;
  if (fitting.size() > kMaxKeys) fitting.resize(kMaxKeys);
  return std::move(fitting);
}

Result<ParsedJwks> parse_jwks(std::string_view text) {
  if (text.size() > kMaxJwksBytes) return Error{"it is larger than 1 MB"};
  Members set;
  if (!set.read(text)) return Error{"it is not a JSON object"};
  const JsonValue* keys = set.find("keys");
  if (keys == nullptr || keys->kind != JsonValue::Kind::kArray) return Error{"it has no array \"keys\""};

  ParsedJwks parsed;
  Members jwk;
  std::size_t index = 0;
  for (const JsonValue& element : json_elements(keys->raw)) {
    auto key = !jwk.read(element.raw)           ? Result<VerificationKey>(Error{"it is not a JSON object"})
               : parsed.keys.size() == kMaxKeys ? Result<VerificationKey>(Error{"there are too many"})
                                                : verification_key_of(jwk);
    if (key) {
      parsed.keys.push_back(std::move(*key));
    } else if (parsed.skipped.size() < kMaxSkippedSentences) {
      parsed.skipped.push_back("key " + std::to_string(index) + ": " + key.error());
    }
    ++index;
  }
  return parsed;
}

Result<JwksSource> parse_jwks_source(std::string_view text) {
  constexpr std::string_view kFile = "file:";
  constexpr std::string_view kUnix = "unix:";
  constexpr std::string_view kHttp = "http://";
  JwksSource source;
  if (text.starts_with(kFile) && text.size() > kFile.size() && !has_control(text)) {
    source.file = text.substr(kFile.size());
    return source;
  }
  if (text.starts_with(kUnix)) {
    const std::string_view address = text.substr(kUnix.size());
    const std::size_t colon = address.find(':');
    if (colon != std::string_view::npos && address.starts_with('/') &&
        is_request_path(address.substr(colon + 1))) {
      source.server.unix_path = address.substr(0, colon);
      source.path = address.substr(colon + 1);
      source.authority = "localhost";
      return source;
    }
  } else if (text.starts_with(kHttp)) {
    const std::string_view address = text.substr(kHttp.size());
    const std::size_t slash = std::min(address.find('/'), address.size());
    source.path = slash == address.size() ? "/" : address.substr(slash);
    if (is_request_path(source.path) && read_authority(address.substr(0, slash), source)) return source;
  } else if (text.starts_with("https://")) {
    return Error{
        "the gateway speaks no TLS; name the nginx leg that does, as in "
        "\"unix:/run/tailgate/jwks.sock:/path\""};
  }
  return Error{"must be \"file:<path>\", \"unix:<socket>:<path>\" or \"http://<host>[:port]<path>\""};
}

}  // namespace tailgate
