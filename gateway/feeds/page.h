// Page: one page of a log's history, asked for and written.
//
// Pure.  Knows the parameters' rules and the answer's JSON; asks Redis nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gateway/base/result.h"
#include "gateway/redis/entry_id.h"
#include "gateway/routes/framing.h"
#include "gateway/text/text.h"

namespace tailgate {

struct PageQuery {
  int limit = 0;
  std::optional<EntryId> before;  // exclusive; none: from the newest
};

// `limit` and `before_id`; an error names the parameter.
Result<PageQuery> parse_page_query(const Query& query, const Route& route);

// The greatest id below `id`; none below 0-0.
std::optional<EntryId> id_before(EntryId id);

// Collects lines from the newest to the oldest and writes them the other way round.
class Page {
 public:
  Page(const Route& route, int limit) : route_(route), limit_(static_cast<std::size_t>(limit)) {}

  // False once the page is full; then the entry is not part of it.
  bool add(const LogEntry& entry);
  bool full() const { return has_more_; }
  std::size_t lines() const { return begins_.size(); }
  std::optional<EntryId> oldest() const { return oldest_; }
  // {"lines":[…],"has_more":…,"oldest_id":…}
  std::string json() const;

 private:
  const Route& route_;
  std::size_t limit_;
  std::string lines_;                // newest first, one right behind the other
  std::vector<std::size_t> begins_;  // where each begins in it
  std::optional<EntryId> oldest_;
  bool has_more_ = false;
};

}  // namespace tailgate
