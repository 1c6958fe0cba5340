#include "gateway/auth/token_cache.h"

#include <algorithm>
#include <utility>

namespace tailgate {

TokenCache::TokenCache(Bounds bounds)
    : bounds_(bounds), accepted_(bounds.accepted), refused_(bounds.refused) {
}

const TokenCheck* TokenCache::find(const Digest& key, WallTime now) {
  const TokenCheck* accepted = accepted_.find(key, now);
  return accepted != nullptr ? accepted : refused_.find(key, now);
}

void TokenCache::insert(const Digest& key, TokenCheck check, WallTime now) {
  if (check.outcome == TokenOutcome::kRefused) {
    refused_.insert(key, {.check = std::move(check), .until = now + bounds_.refused_life});
    return;
  }
  const WallTime until = std::min(now + bounds_.accepted_life, check.until.value_or(WallTime::max()));
  accepted_.insert(key, {.check = std::move(check), .until = until});
}

const TokenCheck* TokenCache::BoundedMap::find(const Digest& key, WallTime now) {
  auto found = recent_.find(key);
  if (found == recent_.end()) {
    auto node = older_.extract(key);
    if (node.empty()) return nullptr;
    insert(key, std::move(node.mapped()));
    found = recent_.find(key);
  }
  if (now < found->second.until) return &found->second.check;
  recent_.erase(found);
  return nullptr;
}

void TokenCache::BoundedMap::insert(const Digest& key, Entry entry) {
  if (recent_.size() >= std::max<std::size_t>(bound_ / 2, 1)) older_ = std::exchange(recent_, {});
  recent_.insert_or_assign(key, std::move(entry));
}

}  // namespace tailgate
