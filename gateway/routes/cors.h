// CorsRule: the web origins whose scripts may read Tailgate's answers (Fetch Standard, "CORS protocol").
//
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/result.h"

namespace tailgate {

class CorsRule {
 public:
  // Each origin is "scheme://host[:port]" or "https://*.suffix[:port]", where "*" matches one or more labels
  // of a host name.  Refuses "*", "null", a path, upper case letters, and a star in another position.
  static Result<CorsRule> make(const std::vector<std::string>& origins,
                               const std::vector<std::string>& allowed_headers);

  bool allows(std::string_view origin) const;
  const std::vector<std::string>& origins() const { return origins_; }     // as given to make()
  const std::string& allowed_headers() const { return allowed_headers_; }  // "a, b, c"

 private:
  std::vector<std::string> origins_;
  std::string allowed_headers_;
};

}  // namespace tailgate
