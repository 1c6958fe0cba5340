// IdentitySeal: carries a proven identity from /auth through nginx to the stream endpoint.
//
// Pure.  Knows keys, names and times; knows no header.  A sealed identity is
//     v1.<base64url payload>.<base64url mac>
// The payload is five netstrings (<length>:<bytes>): user, session, provider, the token's end in ms (or
// empty), the seal's own end in ms.  The MAC is HMAC-SHA256 over netstrings too: "tailgate-identity-v1",
// route, job, payload.  So one made for a route and job opens for no other, and nothing can be cut
// differently than it was joined.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/result.h"
#include "gateway/base/wall_time.h"

namespace tailgate {

// Who somebody is proven to be.  Either name may be empty, not both.
struct Identity {
  std::string user;
  std::string session;
  std::string provider;           // that proved the user; empty without one
  std::optional<WallTime> until;  // when the user's token ends, its provider's leeway included

  bool operator==(const Identity&) const = default;
};

class IdentitySeal {
 public:
  // Seals with the first key and opens with all, so that a new one can be put in front of the old.
  // Precondition: at least one.
  explicit IdentitySeal(std::vector<std::string> keys);
  ~IdentitySeal();
  IdentitySeal(const IdentitySeal&) = delete;
  IdentitySeal& operator=(const IdentitySeal&) = delete;

  // Seals and opens with `keys` from `now` on.  What former keys have sealed opens for `life` more, which is
  // how long a seal may live.  Precondition: at least one.
  void replace(std::vector<std::string> keys, WallTime now, std::chrono::seconds life);

  // `expiry` is the seal's own, whatever the token's.
  std::string seal(const Identity& identity, std::string_view route, std::string_view job,
                   WallTime expiry) const;

  // kForged: not ours, or ours for another route or job.  kExpired: ours, but `now` is past its expiry.
  enum class Outcome { kGenuine, kExpired, kForged };
  struct Opened {
    Outcome outcome = Outcome::kForged;
    Identity identity;  // empty if kForged
  };
  Opened open(std::string_view sealed, std::string_view route, std::string_view job, WallTime now) const;

 private:
  struct Former {
    std::string key;
    WallTime until;
  };
  std::vector<std::string> keys_;
  std::vector<Former> former_;  // those that are not among keys_
};

// A key file: one key of 32 bytes a line, in hexadecimal or base64, the newest first; empty lines and
// lines that begin with "#" do not count.  Errors name the line, never its text.
Result<std::vector<std::string>> parse_identity_keys(std::string_view text);
// The text of a key file with one new random key.
Result<std::string> make_identity_keys();

}  // namespace tailgate
