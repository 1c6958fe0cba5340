#include "gateway/text/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdlib>

namespace tailgate {

namespace {

const EVP_MD* md_of(Hash hash) {
  switch (hash) {
    case Hash::kSha256:
      return EVP_sha256();
    case Hash::kSha384:
      return EVP_sha384();
    case Hash::kSha512:
      return EVP_sha512();
  }
  std::abort();
}

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

Digest sha256(std::string_view text) {
  Digest digest{};
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1) std::abort();
  return digest;
}

std::string hmac(Hash hash, std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  // OpenSSL takes a null pointer for "the key of the last call", so an empty key needs an address.
  const void* secret = key.empty() ? "" : key.data();
  if (HMAC(md_of(hash), secret, static_cast<int>(key.size()), bytes(text), text.size(), out.data(), &size) ==
      nullptr) {
    std::abort();
  }
  return {reinterpret_cast<const char*>(out.data()), size};
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace tailgate
