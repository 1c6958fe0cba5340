// IdentitySeal: carries a proven identity from /auth through nginx to the stream endpoint.
//
// Pure.  Knows no header.  A sealed identity is
//     v1.<base64url payload>.<base64url mac>
// The payload is five netstrings: user, session, provider, the token's expiry in ms (or empty), the seal's
// own expiry in ms.  The MAC is HMAC-SHA256 over four netstrings: "tailgate-identity-v1", route, job,
// payload.  The job is the values of the path's named segments, joined by "/".  So a seal for one route and
// job does not open for another.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/result.h"
#include "gateway/base/wall_time.h"

namespace tailgate {

// A proven user, a proven session, or both.
struct Identity {
  std::string user;
  std::string session;
  std::string provider;           // the issuer of the user's token; empty without a user
  std::optional<WallTime> until;  // when the user's token expires, with the provider's leeway

  bool operator==(const Identity&) const = default;
};

class IdentitySeal {
 public:
  // Seals with the first key.  Opens with any key, so that seals of an old key still open after a new key has
  // been put first.  Precondition: `keys` is not empty.
  explicit IdentitySeal(std::vector<std::string> keys);
  ~IdentitySeal();
  IdentitySeal(const IdentitySeal&) = delete;
  IdentitySeal& operator=(const IdentitySeal&) = delete;

  // Seals and opens with `keys` from now on.  The previous keys still open seals until now + life.  `life` is
  // the longest lifetime of a seal.  Precondition: `keys` is not empty.
  void replace(std::vector<std::string> keys, WallTime now, std::chrono::milliseconds life);

  // The seal expires at `expiry`, whether the token expires earlier or later.
  std::string seal(const Identity& identity, std::string_view route, std::string_view job,
                   WallTime expiry) const;

  // kForged: malformed, or sealed with another key, or sealed for another route or job.  kExpired: genuine,
  // but expired at `now`.
  enum class Outcome { kGenuine, kExpired, kForged };
  struct Opened {
    Outcome outcome = Outcome::kForged;
    Identity identity;  // empty if kForged
  };
  Opened open(std::string_view sealed, std::string_view route, std::string_view job, WallTime now) const;

 private:
  struct RetiredKey {
    std::string key;
    WallTime until;
  };
  std::vector<std::string> keys_;
  std::vector<RetiredKey> retired_;  // none of them is in keys_
};

// Each line of a key file holds one key of 32 bytes, in hexadecimal or base64.  The newest key is the first.
// Empty lines and lines that begin with "#" are skipped.  Errors name the line, never its text.
Result<std::vector<std::string>> parse_identity_keys(std::string_view text);
// The text of a key file with one new random key.
Result<std::string> make_identity_keys();

}  // namespace tailgate
