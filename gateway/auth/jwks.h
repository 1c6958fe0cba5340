// Jwks: parses a JWKS (the public keys that an issuer publishes, RFC 7517) and the address of a JWKS.
//
// Pure.  Knows JSON and PublicKey.  ProviderKeys fetches and refreshes a JWKS.  A key that cannot be used is
// skipped with a reason, because an issuer may publish keys for other purposes too.  Shared secrets and
// private keys are always skipped.  A member that is null counts as absent.  A KeySet is immutable and
// shared.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/auth/algorithm.h"
#include "gateway/auth/public_key.h"
#include "gateway/base/endpoint.h"
#include "gateway/base/result.h"

namespace tailgate {

inline constexpr std::size_t kMaxJwksBytes = 1U << 20;
// The most keys of one JWKS, and the most keys with which a token is tried.  A token without a kid is tried
// with every key that fits.  So an invalid token costs up to 32 verifications.  A verification takes 20 µs
// for a usual token, and about 0.1 ms for a token of 48 KB, because the whole token is hashed.
inline constexpr std::size_t kMaxKeys = 32;

// A public key with the kid and the algorithm that its issuer assigns to it.
struct VerificationKey {
  std::optional<std::string> kid;
  std::optional<Algorithm> algorithm;  // the only algorithm allowed; none: any that fits `key`
  PublicKey key;

  bool fits(Algorithm wanted) const { return (!algorithm || *algorithm == wanted) && key.fits(wanted); }
};

class KeySet {
 public:
  explicit KeySet(std::vector<VerificationKey> keys);

  const std::vector<VerificationKey>& keys() const { return keys_; }
  // The keys that may have signed a token with this kid: those with the same kid, or if there are none, those
  // without a kid.  For a token without a kid: all keys.  At most the first kMaxKeys of them.
  std::vector<const VerificationKey*> candidates(const std::optional<std::string>& kid) const;
  // Two sets have the same fingerprint if they hold the same keys in the same order.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  std::vector<VerificationKey> keys_;
  std::string fingerprint_;
};

struct ParsedJwks {
  std::vector<VerificationKey> keys;
  std::vector<std::string> skipped;  // why keys are skipped; at most eight sentences
};

// Fails if `text` is not a JWKS of at most kMaxJwksBytes.
Result<ParsedJwks> parse_jwks(std::string_view text);

struct JwksSource {
  std::string file;       // the path of a file; empty: HTTP to `server`
  Endpoint server;        // has a host and a port, or a unix path
  std::string path;       // path and query of the URL
  std::string authority;  // the Host header
};

// "file:<path>", "unix:<socket>:<path>" or "http://<host>[:port]<path>".
Result<JwksSource> parse_jwks_source(std::string_view text);

}  // namespace tailgate
