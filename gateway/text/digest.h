// Digest: SHA-256, HMAC, and the comparison of secrets.
//
// Pure.  Uses OpenSSL's libcrypto.  A call fails only when memory runs out, and then the process aborts.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace tailgate {

using Digest = std::array<unsigned char, 32>;

Digest sha256(std::string_view text);

enum class Hash { kSha256, kSha384, kSha512 };
std::string hmac(Hash hash, std::string_view key, std::string_view text);

// True if `a` and `b` are equal.  The run time depends only on their sizes, so a secret cannot be guessed
// byte by byte.
bool same_secret(std::string_view a, std::string_view b);

}  // namespace tailgate
