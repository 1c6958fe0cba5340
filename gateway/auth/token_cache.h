// TokenCache: remembers the outcome of token checks, so that a storm of reconnects verifies each token once.
//
// Pure.  Its keys are hashes, so it holds no token.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstring>
#include <unordered_map>

#include "gateway/auth/token_check.h"
#include "gateway/base/wall_time.h"
#include "gateway/text/digest.h"

namespace tailgate {

// Evicts about the least recently used entry.  Entries go into `recent_`.  When that holds half of the bound,
// it becomes `older_`, whose former entries are dropped.  A hit moves an entry back.
class TokenCache {
 public:
  // Holds `bound` entries at most, each for `life` at most.
  TokenCache(std::size_t bound, std::chrono::milliseconds life) : bound_(bound), life_(life) {}

  // Null if there is none, or if it has expired.  Valid until the next call.
  const TokenCheck* find(const Digest& key, WallTime now);
  // The entry expires after the cache's life, or with its token if that is earlier.
  void insert(const Digest& key, TokenCheck check, WallTime now);
  void clear();
  std::size_t size() const { return recent_.size() + older_.size(); }

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
  using Map = std::unordered_map<Digest, Entry, DigestHash>;
  Map::iterator keep(const Digest& key, Entry entry);

  std::size_t bound_;
  std::chrono::milliseconds life_;
  Map recent_;
  Map older_;
};

}  // namespace tailgate
