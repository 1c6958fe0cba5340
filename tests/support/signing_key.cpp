#include "tests/support/signing_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <stdexcept>

#include "gateway/auth/jwt.h"
#include "gateway/text/text.h"

namespace tailgate::testing {

namespace {

void must(bool good) {
  if (!good) throw std::runtime_error("OpenSSL refuses");
}

const EVP_MD* md_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kRS384:
    case Algorithm::kES384:
    case Algorithm::kHS384:
      return EVP_sha384();
    case Algorithm::kRS512:
    case Algorithm::kHS512:
      return EVP_sha512();
    case Algorithm::kEdDSA:
      return nullptr;
    default:
      return EVP_sha256();
  }
}

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string sign_with(EVP_PKEY* key, const EVP_MD* md, std::string_view text, int pss_salt) {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_PKEY_CTX* details = nullptr;
  must(EVP_DigestSignInit(context, &details, md, nullptr, key) == 1);
  if (pss_salt >= 0) {
    must(EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING) == 1);
    must(EVP_PKEY_CTX_set_rsa_pss_saltlen(details, pss_salt) == 1);
  }
  std::size_t size = 0;
  must(EVP_DigestSign(context, nullptr, &size, bytes(text), text.size()) == 1);
  std::string out(size, '\0');
  must(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &size, bytes(text),
                      text.size()) == 1);
  out.resize(size);
  EVP_MD_CTX_free(context);
  return out;
}

std::string header_of(Algorithm algorithm, std::string_view more) {
  std::string header = R"({"typ":"JWT","alg":")" + std::string(name_of(algorithm)) + '"';
  if (!more.empty()) header += ',' + std::string(more);
  return header + '}';
}

std::string signed_text_of(Algorithm algorithm, std::string_view payload, std::string_view more) {
  return base64url_encode(header_of(algorithm, more)) + '.' + base64url_encode(payload);
}

}  // namespace

SigningKey SigningKey::make_rsa(int bits) {
  return SigningKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(bits)));
}
SigningKey SigningKey::make_ec(const char* curve) {
  return SigningKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve));
}
SigningKey SigningKey::make_ed25519() {
  return SigningKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
}

const SigningKey& SigningKey::rsa() {
  static const SigningKey key = make_rsa(2048);
  return key;
}
const SigningKey& SigningKey::other_rsa() {
  static const SigningKey key = make_rsa(2048);
  return key;
}
const SigningKey& SigningKey::p256() {
  static const SigningKey key = make_ec("P-256");
  return key;
}
const SigningKey& SigningKey::p384() {
  static const SigningKey key = make_ec("P-384");
  return key;
}
const SigningKey& SigningKey::ed25519() {
  static const SigningKey key = make_ed25519();
  return key;
}

std::string SigningKey::sign_der(Algorithm algorithm, std::string_view text) const {
  return sign_with(key_.get(), md_of(algorithm), text, -1);
}

std::string SigningKey::sign_pss(std::string_view text, int salt) const {
  return sign_with(key_.get(), EVP_sha256(), text, salt);
}

std::string SigningKey::sign(Algorithm algorithm, std::string_view text) const {
  if (algorithm == Algorithm::kPS256) return sign_pss(text, 32);
  std::string signature = sign_der(algorithm, text);
  if (!EVP_PKEY_is_a(key_.get(), "EC")) return signature;
  const unsigned char* in = bytes(signature);
  ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &in, static_cast<long>(signature.size()));
  must(pair != nullptr);
  const int field = (EVP_PKEY_get_bits(key_.get()) + 7) / 8;
  std::string out(static_cast<std::size_t>(2 * field), '\0');
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(pair), to, field);
  BN_bn2binpad(ECDSA_SIG_get0_s(pair), to + field, field);
  ECDSA_SIG_free(pair);
  return out;
}

std::string SigningKey::number(const char* name, std::size_t size) const {
  BIGNUM* value = nullptr;
  must(EVP_PKEY_get_bn_param(key_.get(), name, &value) == 1);
  if (size == 0) size = static_cast<std::size_t>(BN_num_bytes(value));
  std::string out(size, '\0');
  BN_bn2binpad(value, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(size));
  BN_free(value);
  return base64url_encode(out);
}

std::string SigningKey::jwk(std::string_view more) const {
  std::string json;
  if (EVP_PKEY_is_a(key_.get(), "RSA")) {
    json = R"({"kty":"RSA","n":")" + number(OSSL_PKEY_PARAM_RSA_N, 0) + R"(","e":")" +
           number(OSSL_PKEY_PARAM_RSA_E, 0) + '"';
  } else if (EVP_PKEY_is_a(key_.get(), "EC")) {
    const int bits = EVP_PKEY_get_bits(key_.get());
    const auto field = static_cast<std::size_t>((bits + 7) / 8);
    json = R"({"kty":"EC","crv":"P-)" + std::to_string(bits) + R"(","x":")" +
           number(OSSL_PKEY_PARAM_EC_PUB_X, field) + R"(","y":")" + number(OSSL_PKEY_PARAM_EC_PUB_Y, field) +
           '"';
  } else {
    std::array<unsigned char, 32> raw{};
    std::size_t size = raw.size();
    must(EVP_PKEY_get_raw_public_key(key_.get(), raw.data(), &size) == 1);
    json = R"({"kty":"OKP","crv":"Ed25519","x":")" +
           base64url_encode({reinterpret_cast<char*>(raw.data()), size}) + '"';
  }
  if (!more.empty()) json += ',' + std::string(more);
  return json + '}';
}

std::string SigningKey::pem() const {
  BIO* memory = BIO_new(BIO_s_mem());
  must(PEM_write_bio_PUBKEY(memory, key_.get()) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory, &text);
  std::string out(text, static_cast<std::size_t>(size));
  BIO_free(memory);
  return out;
}

std::string jwks_of(std::initializer_list<std::string> jwks) {
  std::string json = R"({"keys":[)";
  for (const std::string& jwk : jwks) {
    if (json.back() != '[') json += ',';
    json += jwk;
  }
  return json + "]}";
}

std::string join_token(std::string_view header, std::string_view payload, std::string_view signature) {
  return base64url_encode(header) + '.' + base64url_encode(payload) + '.' + base64url_encode(signature);
}

std::string sign_token(const SigningKey& key, Algorithm algorithm, std::string_view payload,
                       std::string_view more) {
  const std::string text = signed_text_of(algorithm, payload, more);
  return text + '.' + base64url_encode(key.sign(algorithm, text));
}

std::string sign_token(std::string_view secret, Algorithm algorithm, std::string_view payload,
                       std::string_view more) {
  const std::string text = signed_text_of(algorithm, payload, more);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  HMAC(md_of(algorithm), secret.data(), static_cast<int>(secret.size()), bytes(text), text.size(), mac.data(),
       &size);
  return text + '.' + base64url_encode({reinterpret_cast<char*>(mac.data()), size});
}

}  // namespace tailgate::testing
