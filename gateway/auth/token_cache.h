// TokenCache: what tokens have been found to be worth, so that none is verified twice in a storm.
//
// Pure.  Keyed by a hash, so no token is kept.  Bounded by number, two generations each: when the
// young one is full it becomes the old one, whose remainder is forgotten; a hit makes young again.  What
// is not believed has a small shelf of its own, so that garbage drives nothing good out.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <unordered_map>

#include "gateway/auth/refusal.h"
#include "gateway/base/wall_time.h"
#include "gateway/text/digest.h"

namespace tailgate {

// What one token is worth.
struct CachedToken {
  std::optional<Refusal> refusal;  // none: it is believed
  std::string user{};
  std::string provider{};
  std::optional<WallTime> until{};  // the token's end, leeway included
};

class TokenCache {
 public:
  // 600 bytes for each good one at the most, a fifth of that as a rule.
  struct Bounds {
    std::size_t good = 20000;
    std::size_t bad = 2000;
    std::chrono::milliseconds good_life = std::chrono::minutes(5);
    std::chrono::milliseconds bad_life = std::chrono::seconds(10);
  };

  explicit TokenCache(Bounds bounds);
  TokenCache() : TokenCache(Bounds()) {}

  // Null if there is none, or if its time is over.  Lives until the next call.
  const CachedToken* find(const Digest& key, WallTime now);
  // Kept for its kind's life, but a good one never past the token's own end.
  void keep(const Digest& key, CachedToken verdict, WallTime now);
  std::size_t size() const { return good_.size() + bad_.size(); }

 private:
  struct Kept {
    CachedToken verdict;
    WallTime until;
  };
  // A digest is as good a hash as any part of it.
  struct FirstBytes {
    std::size_t operator()(const Digest& digest) const {
      std::size_t hash = 0;
      std::memcpy(&hash, digest.data(), sizeof hash);
      return hash;
    }
  };
  using Generation = std::unordered_map<Digest, Kept, FirstBytes>;

  class Shelf {
   public:
    explicit Shelf(std::size_t bound) : bound_(bound) {}
    const CachedToken* find(const Digest& key, WallTime now);
    void put(const Digest& key, Kept kept);
    std::size_t size() const { return young_.size() + old_.size(); }

   private:
    std::size_t bound_;  // of both generations together
    Generation young_;
    Generation old_;
  };

  Bounds bounds_;
  Shelf good_;
  Shelf bad_;
};

}  // namespace tailgate
