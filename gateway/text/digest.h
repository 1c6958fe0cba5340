// Digest: SHA-256 and HMAC, and comparing what must not be guessed byte by byte.
//
// Pure.  OpenSSL's libcrypto; the one thing that it may fail of here is memory, and then we die.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace tailgate {

using Digest = std::array<unsigned char, 32>;

Digest sha256(std::string_view text);

enum class Hash { kSha256, kSha384, kSha512 };
std::string hmac(Hash hash, std::string_view key, std::string_view text);

// In a time that depends on the sizes only.
bool same_secret(std::string_view a, std::string_view b);

}  // namespace tailgate
