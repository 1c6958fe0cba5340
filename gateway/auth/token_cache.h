// TokenCache: remembers the results of token checks, so that a storm of reconnects verifies each token once.
//
// Pure.  The cache keys are hashes of tokens, so the cache holds no token.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstring>
#include <unordered_map>

#include "gateway/auth/token_check.h"
#include "gateway/base/wall_time.h"
#include "gateway/text/digest.h"

namespace tailgate {

// An approximate LRU cache.  New entries go into `recent_`.  When `recent_` holds half of the bound, it
// replaces `older_`, whose entries are dropped.  A hit in `older_` moves the entry to `recent_`.
class TokenCache {
 public:
  // Holds `bound` entries at most, each for `life` at most.
  TokenCache(std::size_t bound, std::chrono::milliseconds life) : bound_(bound), life_(life) {}

  // Null if there is no entry, or if it has expired.  The pointer is valid until the next call.
  const TokenCheck* find(const Digest& key, WallTime now);
  // The entry expires after `life`, or when its token expires if that is earlier.
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
