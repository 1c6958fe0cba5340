// Netstring: "<length>:<bytes>", without the final comma of the usual format.  Joined netstrings can be split
// in only one way.
//
// Pure.
#pragma once

#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tailgate {

inline void append_netstring(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
}

// Takes the first netstring off `text`.  Nothing if `text` does not begin with a netstring.
inline std::optional<std::string_view> take_netstring(std::string_view& text) {
  std::size_t size = 0;
  const char* const end = text.data() + text.size();
  const auto [colon, error] = std::from_chars(text.data(), end, size);
  if (error != std::errc() || colon == end || *colon != ':') return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(colon - text.data()) + 1);
  if (size > text.size()) return std::nullopt;
  const std::string_view taken = text.substr(0, size);
  text.remove_prefix(size);
  return taken;
}

}  // namespace tailgate
