#include "gateway/pure/page.h"

#include <charconv>
#include <limits>

namespace tailgate {

Result<PageQuery> parse_page_query(const Query& query, const Route& route) {
  PageQuery page{.limit = route.page_default, .before = std::nullopt};
  if (const std::string* text = query.find("limit")) {
    const char* end = text->data() + text->size();
    const auto [stop, error] = std::from_chars(text->data(), end, page.limit);
    if (error != std::errc() || stop != end || page.limit < 1 || page.limit > route.page_max) {
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
  // The bound is for what is sent: one line larger than it still makes a page.
  if (lines_.size() >= limit_ || (bytes_ > 0 && bytes_ >= route_.page_bytes)) {
    has_more_ = true;
    return false;
  }
  std::string line;
  append_line(line, route_.entry, entry);
  if (bytes_ > 0 && bytes_ + line.size() > route_.page_bytes) {
    has_more_ = true;
    return false;
  }
  bytes_ += line.size();
  lines_.push_back(std::move(line));
  oldest_ = entry.id;
  return true;
}

std::string Page::json() const {
  std::string out;
  out.reserve(bytes_ + lines_.size() + 64);
  out += "{\"lines\":[";
  for (auto line = lines_.rbegin(); line != lines_.rend(); ++line) {
    if (line != lines_.rbegin()) out += ',';
    out += *line;
  }
  out += "],\"has_more\":";
  out += has_more_ ? "true" : "false";
  out += ",\"oldest_id\":";
  out += oldest_ ? '"' + oldest_->text() + '"' : "null";
  out += '}';
  return out;
}

}  // namespace tailgate
