// Credentials: what a request shows of its sender, found in the places that its route names.
//
// Pure.  Knows headers and queries as texts; believes nothing yet.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/routes/route.h"

namespace tailgate {

// The parts of a request that may hold credentials.
struct RequestParts {
  std::string_view query;  // what follows the "?", as it was sent
  // A header by its lower-case name.
  std::function<std::optional<std::string_view>(const char* name)> header;
};

struct Shown {
  enum class Kind { kToken, kSession };
  Kind kind = Kind::kToken;
  // Shown on purpose, in a header or the query; a cookie comes along by itself.
  bool is_explicit = false;
  std::string text;
};

// What is shown, in the route's order.  An empty token shows nothing, nor does an Authorization of another
// scheme or a session id that is none.  A query that cannot be decoded shows an empty token where one is
// looked for: it may have been there.
std::vector<Shown> shown_credentials(const std::vector<Credential>& places, const RequestParts& request);

// [!-~]{1,256}
bool is_session_id(std::string_view text);

}  // namespace tailgate
