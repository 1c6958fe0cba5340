// SigningKey: an issuer's private key.  Makes keys and signs valid and invalid tokens, with OpenSSL.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

#include "gateway/auth/provider.h"

namespace tailgate::testing {

class SigningKey {
 public:
  static SigningKey make_rsa(int bits);
  static SigningKey make_ec(const char* curve);  // "P-256", "P-384", "P-521", "secp256k1"
  static SigningKey make_ed25519();

  // These keys are made once in each test run, because RSA keys are slow to make.
  static const SigningKey& rsa();
  static const SigningKey& other_rsa();
  static const SigningKey& p256();
  static const SigningKey& p384();
  static const SigningKey& ed25519();

  // A signature in the format of JOSE.  For ECDSA that is r, then s.
  std::string sign(Algorithm algorithm, std::string_view text) const;
  // A signature in the format of OpenSSL, which is DER for ECDSA.
  std::string sign_der(Algorithm algorithm, std::string_view text) const;
  // A PSS signature with a salt of `salt` bytes.
  std::string sign_pss(std::string_view text, int salt) const;
  // The public key.  `more` is added to its members, for example R"("kid":"1")".
  std::string jwk(std::string_view more = {}) const;
  std::string pem() const;  // the public key

 private:
  explicit SigningKey(EVP_PKEY* key) : key_(key, EVP_PKEY_free) {}
  std::string number(const char* name, std::size_t bytes) const;

  std::shared_ptr<EVP_PKEY> key_;
};

// R"({"keys":[…]})"
std::string jwks_of(std::initializer_list<std::string> jwks);

// header "." payload "." signature, each encoded in base64url.
std::string join_token(std::string_view header, std::string_view payload, std::string_view signature);
// A token with a valid signature.  `more` is added to its header, for example R"("kid":"1")".
std::string sign_token(const SigningKey& key, Algorithm algorithm, std::string_view payload,
                       std::string_view more = {});
std::string sign_token(std::string_view secret, Algorithm algorithm, std::string_view payload,
                       std::string_view more = {});

}  // namespace tailgate::testing
