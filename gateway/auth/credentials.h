// Credentials: finds the tokens and session ids of a request in the places that its route names.
//
// Pure.  Knows headers and queries as texts.  Nothing is verified here.
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
  std::string_view query;  // the part of the URL behind the "?", as it was sent
  // A header by its lower-case name.
  std::function<std::optional<std::string_view>(const char* name)> header;
};

struct PresentedCredential {
  enum class Kind { kToken, kSession };
  Kind kind = Kind::kToken;
  // In a header or the query, where a client puts it on purpose.  Browsers send cookies by themselves.
  bool is_explicit = false;
  std::string text;
};

// The credentials of `request`, in the order of `places`.  Not included: an empty token, an Authorization of
// another scheme, a session id that is_session_id() refuses.  A query that cannot be decoded counts as an
// explicit token that is empty if a token may be in the query: the broken part may have been the token.
std::vector<PresentedCredential> find_credentials(const std::vector<Credential>& places,
                                                  const RequestParts& request);

// [!-~]{1,256}
bool is_session_id(std::string_view text);

}  // namespace tailgate
