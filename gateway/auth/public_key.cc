#include "gateway/auth/public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "gateway/base/freed.h"

namespace tailgate {

namespace {

constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;

using BigNumber = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using EcSignature = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;

// Clears OpenSSL's thread-local error queue, which invalid tokens would otherwise fill.
struct ErrorQueueGuard {
  ErrorQueueGuard() = default;
  ErrorQueueGuard(const ErrorQueueGuard&) = delete;
  ErrorQueueGuard& operator=(const ErrorQueueGuard&) = delete;
  ~ErrorQueueGuard() { ERR_clear_error(); }
};

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

BigNumber big_number(std::string_view big_endian) {
  return BigNumber(BN_bin2bn(bytes(big_endian), static_cast<int>(big_endian.size()), nullptr));
}

// A number for an OSSL_PARAM, in the machine's byte order.
std::string native_bytes(const BIGNUM* value) {
  std::string out(static_cast<std::size_t>(BN_num_bytes(value)), '\0');
  BN_bn2nativepad(value, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size()));
  return out;
}

EVP_PKEY* public_key_from(const char* type, OSSL_PARAM* params) {
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1) return nullptr;
  if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params) != 1) return nullptr;
  return key;
}

std::size_t field_bytes(PublicKey::Family curve) {
  return curve == PublicKey::Family::kP256 ? 32 : 48;
}

const EVP_MD* md_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kRS256:
    case Algorithm::kPS256:
    case Algorithm::kES256:
      return EVP_sha256();
    case Algorithm::kRS384:
    case Algorithm::kES384:
      return EVP_sha384();
    case Algorithm::kRS512:
      return EVP_sha512();
    default:
      return nullptr;  // Ed25519 includes its own hash
  }
}

// The DER form of `object`; empty if it cannot be encoded.
template <auto kEncode, typename T>
std::string encoded(const T* object) {
  unsigned char* out = nullptr;
  const int size = kEncode(object, &out);
  if (size <= 0) return {};
  std::string der(reinterpret_cast<const char*>(out), static_cast<std::size_t>(size));
  OPENSSL_free(out);
  return der;
}

// Converts a JOSE signature (r, then s) into the DER form for OpenSSL.  Empty if it is malformed.
std::string der_signature(std::string_view signature, std::size_t field) {
  if (signature.size() != 2 * field) return {};
  BigNumber r = big_number(signature.substr(0, field));
  BigNumber s = big_number(signature.substr(field));
  // A "psychic signature" (CVE-2022-21449) has zeros for r and s.
  if (!r || !s || BN_is_zero(r.get()) || BN_is_zero(s.get())) return {};
  const EcSignature pair(ECDSA_SIG_new());
  if (!pair || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) return {};
  (void)r.release();
  (void)s.release();
  return encoded<i2d_ECDSA_SIG>(pair.get());
}

}  // namespace

PublicKey::PublicKey(Family family, EVP_PKEY* key) : family_(family), key_(key, EVP_PKEY_free) {
}

Result<PublicKey> PublicKey::rsa(std::string_view modulus, std::string_view exponent) {
  const ErrorQueueGuard guard;
  if (modulus.size() > kMaxRsaBits / 8 + 1 || exponent.size() > 9)
    return Error{"its RSA numbers are too long"};
  const BigNumber n = big_number(modulus);
  const BigNumber e = big_number(exponent);
  if (!n || !e) return Error{"its RSA numbers are malformed"};
  const int bits = BN_num_bits(n.get());
  if (bits < kMinRsaBits || bits > kMaxRsaBits) {
    return Error{"its RSA modulus has " + std::to_string(bits) + " bits, not 2048 to 8192"};
  }
  if (!BN_is_odd(e.get()) || BN_is_one(e.get()) || BN_num_bits(e.get()) > 64) {
    return Error{"its RSA exponent is unusable"};
  }
  std::string n_bytes = native_bytes(n.get());
  std::string e_bytes = native_bytes(e.get());
  std::array<OSSL_PARAM, 3> params = {
      OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, reinterpret_cast<unsigned char*>(n_bytes.data()),
                              n_bytes.size()),
      OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, reinterpret_cast<unsigned char*>(e_bytes.data()),
                              e_bytes.size()),
      OSSL_PARAM_construct_end(),
  };
  EVP_PKEY* key = public_key_from("RSA", params.data());
  if (key == nullptr) return Error{"its RSA numbers are malformed"};
  return PublicKey(Family::kRsa, key);
}

Result<PublicKey> PublicKey::ec(Family curve, std::string_view x, std::string_view y) {
  const ErrorQueueGuard guard;
  if (x.size() != field_bytes(curve) || y.size() != field_bytes(curve)) {
    return Error{"its coordinates do not have the size of its curve's field"};
  }
  std::string group = curve == Family::kP256 ? "P-256" : "P-384";
  std::string point = '\x04' + std::string(x) + std::string(y);  // SEC 1: uncompressed
  std::array<OSSL_PARAM, 3> params = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
      OSSL_PARAM_construct_end(),
  };
  EVP_PKEY* key = public_key_from("EC", params.data());
  if (key == nullptr) return Error{"its point is not on its curve"};
  return PublicKey(curve, key);
}

Result<PublicKey> PublicKey::ed25519(std::string_view x) {
  const ErrorQueueGuard guard;
  EVP_PKEY* key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes(x), x.size());
  if (key == nullptr) return Error{"its Ed25519 key does not have 32 bytes"};
  return PublicKey(Family::kEd25519, key);
}

bool PublicKey::fits(Algorithm algorithm) const {
  switch (family_) {
    case Family::kRsa:
      return name_of(algorithm).starts_with("RS") || algorithm == Algorithm::kPS256;
    case Family::kP256:
      return algorithm == Algorithm::kES256;
    case Family::kP384:
      return algorithm == Algorithm::kES384;
    case Family::kEd25519:
      return algorithm == Algorithm::kEdDSA;
  }
  return false;
}

bool PublicKey::verifies(Algorithm algorithm, std::string_view text, std::string_view signature) const {
  if (!fits(algorithm)) return false;
  const ErrorQueueGuard guard;
  std::string der;
  if (family_ == Family::kP256 || family_ == Family::kP384) {
    der = der_signature(signature, field_bytes(family_));
    if (der.empty()) return false;
    signature = der;
  } else if (signature.size() != static_cast<std::size_t>(EVP_PKEY_get_size(key_.get()))) {
    return false;
  }
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* details = nullptr;  // owned by `context`
  if (!context || EVP_DigestVerifyInit(context.get(), &details, md_of(algorithm), nullptr, key_.get()) != 1) {
    return false;
  }
  // RFC 7518 section 3.5: the salt is as long as the hash, and MGF1 uses the same hash.
  if (algorithm == Algorithm::kPS256 &&
      (EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING) != 1 ||
       EVP_PKEY_CTX_set_rsa_pss_saltlen(details, RSA_PSS_SALTLEN_DIGEST) != 1)) {
    return false;
  }
  return EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(text), text.size()) == 1;
}

std::string PublicKey::der() const {
  return encoded<i2d_PUBKEY>(key_.get());
}

}  // namespace tailgate
