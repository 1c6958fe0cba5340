// Credentials: finds the tokens and session ids of a request in the places that its route names.
//
// Pure.  Verifies nothing.
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
  std::string_view query;  // the part of the URL after the "?", not decoded
  std::string cookies;     // all Cookie lines, joined by "; "
  // Returns the value of a header by its lower-case name.
  std::function<std::optional<std::string_view>(const char* name)> header;
};

struct PresentedCredential {
  enum class Kind { kToken, kSession };
  Kind kind = Kind::kToken;
  // True if the client chose to send the credential, in a header or in the query.  False for a cookie, which
  // browsers send by themselves.
  bool is_explicit = false;
  std::string text;
};

// The credentials of `request`, in the order of `places`.  Leaves out empty tokens and session ids, and an
// Authorization header without "Bearer".  A session id that is_session_id() refuses becomes an explicit token
// without a text, so that no weaker credential is accepted in its place.  A query that cannot be decoded
// becomes such a token too, if `places` names a credential in the query.
std::vector<PresentedCredential> find_credentials(const std::vector<Credential>& places,
                                                  const RequestParts& request);

// The token after the word "Bearer", whose case does not matter (RFC 7235 section 2.1).  Empty for another
// scheme.
std::string_view bearer_token(std::string_view authorization);

// True if `text` matches [!-~]{1,256}.
bool is_session_id(std::string_view text);

}  // namespace tailgate
