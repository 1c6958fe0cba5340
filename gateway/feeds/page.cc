#include "gateway/feeds/page.h"

#include <limits>

#include "gateway/text/json.h"

namespace tailgate {

Result<PageQuery> parse_page_query(const Query& query, const Route& route) {
  PageQuery page{.limit = route.page_default, .before = std::nullopt};
  for (const char* name : {"limit", "before_id"}) {
    if (query.repeats(name)) return Error{std::string(name) + ": must be given only once"};
  }
  if (const std::string* text = query.find("limit")) {
    page.limit = parse_number<int>(*text).value_or(0);
    if (page.limit < 1 || page.limit > route.page_max) {
      return Error{"limit: must be a whole number from 1 to " + std::to_string(route.page_max)};
    }
  }
  if (const std::string* text = query.find("before_id")) {
    page.before = EntryId::parse(*text);
    if (!page.before) {
      return Error{
          "before_id: must be a complete entry id, two whole numbers joined by \"-\" as in 1700000000000-0"};
    }
  }
  return page;
}

std::optional<EntryId> id_before(EntryId id) {
  if (id.is_zero()) return std::nullopt;
  if (id.seq > 0) return EntryId{id.ms, id.seq - 1};
  return EntryId{id.ms - 1, std::numeric_limits<std::uint64_t>::max()};
}

bool Page::add(const LogEntry& entry) {
  if (has_more_) return false;
  // page_bytes bounds the bytes of the lines.  A page has at least one line, however large.
  const std::size_t begin = lines_.size();
  if (begins_.size() < limit_) {
    append_line(lines_, route_.entry, entry);
    if (begin == 0 || lines_.size() <= route_.page_bytes) {
      begins_.push_back(begin);
      oldest_ = entry.id;
      return true;
    }
    lines_.resize(begin);
  }
  has_more_ = true;
  return false;
}

std::string Page::json() const {
  std::string lines = "[";
  lines.reserve(lines_.size() + begins_.size() + 2);
  std::size_t end = lines_.size();
  for (auto begin = begins_.rbegin(); begin != begins_.rend(); ++begin) {
    if (begin != begins_.rbegin()) lines += ',';
    lines.append(lines_, *begin, end - *begin);
    end = *begin;
  }
  lines += ']';
  return json_object({{"lines", lines},
                      {"has_more", has_more_ ? "true" : "false"},
                      {"oldest_id", oldest_ ? json_quote(oldest_->text()) : "null"}});
}

}  // namespace tailgate
