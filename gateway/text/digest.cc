#include "gateway/text/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdlib>

namespace tailgate {

Digest sha256(std::string_view text) {
  Digest digest{};
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1) std::abort();
  return digest;
}

std::string hmac(Hash hash, std::string_view key, std::string_view text) {
  constexpr std::array kAlgorithms = {EVP_sha256, EVP_sha384, EVP_sha512};  // in the order of Hash
  const EVP_MD* algorithm = kAlgorithms.at(static_cast<std::size_t>(hash))();
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  // To OpenSSL, a null pointer means "the key of the last call", so an empty key needs an address.
  const void* secret = key.empty() ? "" : key.data();
  if (HMAC(algorithm, secret, static_cast<int>(key.size()), bytes, text.size(), out.data(), &size) == nullptr)
    std::abort();
  return {reinterpret_cast<const char*>(out.data()), size};
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace tailgate
