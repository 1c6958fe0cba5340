// Page: one page of a log's history: the rules of its query parameters, and the JSON of its answer.
//
// Pure.  Sends no command; log_page.cc reads the entries from Redis.
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
  std::optional<EntryId> before;  // all entries are older than this id; none: begin with the newest entry
};

// Reads `limit` and `before_id`.  An error names the parameter.
Result<PageQuery> parse_page_query(const Query& query, const Route& route);

// The greatest id below `id`; none if `id` is 0-0.
std::optional<EntryId> id_before(EntryId id);

// Collects entries from the newest to the oldest, and writes them in the order of the log.
class Page {
 public:
  Page(const Route& route, int limit) : route_(route), limit_(static_cast<std::size_t>(limit)) {}

  // Returns false, and leaves the entry out, if the page is full.
  bool add(const LogEntry& entry);
  bool full() const { return has_more_; }
  std::size_t lines() const { return begins_.size(); }
  // {"lines":[…],"has_more":…,"oldest_id":…}
  std::string json() const;

 private:
  const Route& route_;
  std::size_t limit_;
  std::string lines_;                // the JSON of all lines, newest first, without separators
  std::vector<std::size_t> begins_;  // the offset of each line in lines_
  std::optional<EntryId> oldest_;
  bool has_more_ = false;
};

}  // namespace tailgate
