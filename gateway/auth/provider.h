// ProviderRule: one issuer of tokens, and what it takes for one of them to be believed.
//
// Pure.  Values only, made by config.cc; the rules are applied in claims.h and judge.h.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/auth/algorithm.h"

namespace tailgate {

// [provider.<name>] of the configuration.  Either `secrets` (HS*) or `jwks` (the others), never both:
// a public key must not be usable as a shared secret (RFC 8725 section 3.1).
struct ProviderRule {
  std::string name;
  std::vector<Algorithm> algorithms;
  std::vector<std::string> secrets;  // raw bytes; several while one is being replaced
  std::vector<std::string>
      jwks;            // each "file:<path>", "unix:<socket>:<path>" or "http://<host>[:port]<path>"
  std::string issuer;  // `iss` must equal it; empty: not looked at
  std::vector<std::string> audience;  // one of these must be in `aud`; empty: `aud` is not looked at
  std::vector<std::string> authorized_parties;  // `azp` must be one of these; empty: any
  std::vector<std::string> required;            // claims that must be there
  std::string subject = "sub";                  // claim that names the user: string or number
  std::chrono::seconds leeway{5};
  bool end_at_expiry = false;         // at_expiry = "end": the stream ends when its token does
  std::chrono::seconds refresh{300};  // how often the JWKS is asked for again
};

using ProviderList = std::vector<std::unique_ptr<ProviderRule>>;

// Null if no provider has this name.
inline const ProviderRule* find_provider(const ProviderList& providers, std::string_view name) {
  const auto found = std::find_if(providers.begin(), providers.end(),
                                  [name](const auto& provider) { return provider->name == name; });
  return found == providers.end() ? nullptr : found->get();
}

}  // namespace tailgate
