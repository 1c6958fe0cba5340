#include "gateway/auth/token_cache.h"

#include <algorithm>
#include <utility>

namespace tailgate {

TokenCache::TokenCache(Bounds bounds) : bounds_(bounds), good_(bounds.good), bad_(bounds.bad) {
}

const CachedToken* TokenCache::find(const Digest& key, WallTime now) {
  const CachedToken* good = good_.find(key, now);
  return good != nullptr ? good : bad_.find(key, now);
}

void TokenCache::keep(const Digest& key, CachedToken verdict, WallTime now) {
  if (verdict.refusal) {
    bad_.put(key, {.verdict = std::move(verdict), .until = now + bounds_.bad_life});
    return;
  }
  const WallTime until = std::min(now + bounds_.good_life, verdict.until.value_or(WallTime::max()));
  good_.put(key, {.verdict = std::move(verdict), .until = until});
}

const CachedToken* TokenCache::Shelf::find(const Digest& key, WallTime now) {
  auto found = young_.find(key);
  if (found == young_.end()) {
    auto node = old_.extract(key);
    if (node.empty()) return nullptr;
    put(key, std::move(node.mapped()));
    found = young_.find(key);
  }
  if (now < found->second.until) return &found->second.verdict;
  young_.erase(found);
  return nullptr;
}

void TokenCache::Shelf::put(const Digest& key, Kept kept) {
  if (young_.size() >= std::max<std::size_t>(bound_ / 2, 1)) old_ = std::exchange(young_, {});
  young_.insert_or_assign(key, std::move(kept));
}

}  // namespace tailgate
