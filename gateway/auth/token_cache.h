// TokenCache: remembers the outcome of token checks, so that a storm of reconnects verifies each token once.
//
// Pure.  Its keys are hashes, so it holds no token.  Bounded in number.  Refused tokens have a bound of their
// own, so that a stranger's garbage evicts no accepted token.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstring>
#include <unordered_map>

#include "gateway/auth/token_check.h"
#include "gateway/base/wall_time.h"
#include "gateway/text/digest.h"

namespace tailgate {

class TokenCache {
 public:
  // An accepted token takes about 120 bytes, and 600 at most.
  struct Bounds {
    std::size_t accepted = 20000;
    std::size_t refused = 2000;
    std::chrono::milliseconds accepted_life = std::chrono::minutes(5);
    std::chrono::milliseconds refused_life = std::chrono::seconds(10);
  };

  explicit TokenCache(Bounds bounds);
  TokenCache() : TokenCache(Bounds()) {}

  // Null if there is none, or if it has expired.  Valid until the next call.
  const TokenCheck* find(const Digest& key, WallTime now);
  // Precondition: `check` is kAccepted or kRefused.  It expires after its kind's life, and an accepted one
  // with its token if that is earlier.
  void insert(const Digest& key, TokenCheck check, WallTime now);
  std::size_t size() const { return accepted_.size() + refused_.size(); }

 private:
  struct Entry {
    TokenCheck check;
    WallTime until;
  };
  // Any part of a digest is a good hash.
  struct DigestHash {
    std::size_t operator()(const Digest& digest) const {
      std::size_t hash = 0;
      std::memcpy(&hash, digest.data(), sizeof hash);
      return hash;
    }
  };

  // At most `bound` entries; evicts about the least recently used.  Entries go into `recent_`.  When that
  // holds half of the bound, it becomes `older_`, whose former entries are dropped.  A hit moves an entry
  // back.
  class BoundedMap {
   public:
    explicit BoundedMap(std::size_t bound) : bound_(bound) {}
    const TokenCheck* find(const Digest& key, WallTime now);
    void insert(const Digest& key, Entry entry);
    std::size_t size() const { return recent_.size() + older_.size(); }

   private:
    using Map = std::unordered_map<Digest, Entry, DigestHash>;
    std::size_t bound_;
    Map recent_;
    Map older_;
  };

  Bounds bounds_;
  BoundedMap accepted_;
  BoundedMap refused_;
};

}  // namespace tailgate
