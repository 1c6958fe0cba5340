// Jwks: an issuer's public keys (RFC 7517), read from the JSON that it publishes.
//
// Pure.  Knows JSON and PublicKey; knows not where the text came from.  A key that we cannot use
// is left out, and said so, because an issuer may publish others beside ours; shared secrets and private
// keys are never taken.  A KeySet is immutable and shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/auth/provider.h"
#include "gateway/auth/public_key.h"
#include "gateway/base/result.h"

namespace tailgate {

inline constexpr std::size_t kMaxJwksBytes = 1U << 20;
// A token that names no key is tried with all that fit, so their number is what a stranger's token may
// cost: 32 × 20 µs.
inline constexpr std::size_t kMaxKeys = 32;

// One key, and what its issuer says it is for.
struct VerificationKey {
  std::optional<std::string> kid;
  std::optional<Algorithm> algorithm;  // the only one; none: any that fits the key
  PublicKey key;

  bool fits(Algorithm wanted) const { return (!algorithm || *algorithm == wanted) && key.fits(wanted); }
};

class KeySet {
 public:
  KeySet() = default;
  // Keeps the first kMaxKeys.
  explicit KeySet(std::vector<VerificationKey> keys);

  const std::vector<VerificationKey>& keys() const { return keys_; }
  // Those that a token which names `kid` may have been signed with: the ones of that name, else those
  // without any name.  A token that names none: all.
  std::vector<const VerificationKey*> candidates(const std::optional<std::string>& kid) const;
  // Equal for equal keys in the same order.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  std::vector<VerificationKey> keys_;
  std::string fingerprint_;
};

struct ParsedJwks {
  std::vector<VerificationKey> keys;
  std::vector<std::string> left_out;  // one sentence for each key that is not taken
};

// Refuses what is not a JWKS of at most kMaxJwksBytes.
Result<ParsedJwks> parse_jwks(std::string_view text);

// Where a JWKS is: "file:<path>", "unix:<socket>:<path>" or "http://<host>[:port]<path>".
struct JwksPlace {
  std::string file;       // not empty: a file
  std::string unix_path;  // not empty: HTTP over a unix socket
  std::string host;       // else HTTP to a host
  std::uint16_t port = 80;
  std::string path;       // of the URL
  std::string authority;  // the Host header
};

Result<JwksPlace> parse_jwks_place(std::string_view text);

}  // namespace tailgate
