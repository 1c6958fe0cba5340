#include "gateway/auth/token_cache.h"

#include <algorithm>
#include <utility>

namespace tailgate {

const TokenCheck* TokenCache::find(const Digest& key, WallTime now) {
  auto found = recent_.find(key);
  if (found == recent_.end()) {
    auto older = older_.extract(key);
    if (older.empty()) return nullptr;
    found = keep(key, std::move(older.mapped()));
  }
  if (now < found->second.until) return &found->second.check;
  recent_.erase(found);
  return nullptr;
}

void TokenCache::insert(const Digest& key, TokenCheck check, WallTime now) {
  const WallTime until = std::min(now + life_, check.until.value_or(WallTime::max()));
  keep(key, {.check = std::move(check), .until = until});
}

void TokenCache::clear() {
  recent_.clear();
  older_.clear();
}

TokenCache::Map::iterator TokenCache::keep(const Digest& key, Entry entry) {
  if (recent_.size() >= std::max<std::size_t>(bound_ / 2, 1)) older_ = std::exchange(recent_, {});
  return recent_.insert_or_assign(key, std::move(entry)).first;
}

}  // namespace tailgate
