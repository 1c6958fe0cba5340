// PublicKey: verifies signatures with one public key.
//
// Pure.  Knows OpenSSL's EVP; knows no JSON and no token.  A key works only with the algorithms of its own
// family and curve (RFC 8725 section 3.1).  Immutable and cheap to copy.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

#include "gateway/auth/algorithm.h"
#include "gateway/base/result.h"

namespace tailgate {

class PublicKey {
 public:
  enum class Family { kRsa, kP256, kP384, kEd25519 };

  // Both numbers are big-endian.  Fails for a modulus below 2048 or above 8192 bits.  Fails for an exponent
  // that is even or 1 (not RSA), or longer than 64 bits (slow to verify).
  static Result<PublicKey> rsa(std::string_view modulus, std::string_view exponent);
  // Fails unless `x` and `y` have the field's size (RFC 7518 section 6.2.1.2) and are a point of the curve.
  // Precondition: `curve` is kP256 or kP384.
  static Result<PublicKey> ec(Family curve, std::string_view x, std::string_view y);
  static Result<PublicKey> ed25519(std::string_view x);

  Family family() const { return family_; }
  bool fits(Algorithm algorithm) const;
  // True if the matching private key made `signature` for `text`.  Always false if the key does not fit the
  // algorithm.  An ES256 or ES384 signature is r, then s, each exactly of the field's size (RFC 7518 section
  // 3.4).
  bool verifies(Algorithm algorithm, std::string_view text, std::string_view signature) const;
  // DER (SubjectPublicKeyInfo): equal for equal keys.
  std::string der() const;

 private:
  PublicKey(Family family, EVP_PKEY* key);

  Family family_;
  std::shared_ptr<EVP_PKEY> key_;  // copies share it, because it never changes
};

}  // namespace tailgate
