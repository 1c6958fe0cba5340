// ProviderRule: one issuer of tokens, and the rules that its tokens must meet.
//
// Pure.  Values only, read from the configuration; token_check.h and claims.h apply them.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/auth/algorithm.h"

namespace tailgate {

// [provider.<name>] of the configuration.  Has `secrets` (for HS*) or `jwks` (for the others), never both:
// a public key must not be usable as a shared secret (RFC 8725 section 3.1).
struct ProviderRule {
  std::string name;
  bool is_named = true;                         // a route names this provider
  std::vector<Algorithm> algorithms;            // the accepted algorithms
  std::vector<std::string> secrets;             // raw bytes; more than one during a rotation
  std::vector<std::string> jwks;                // sources, in the form that parse_jwks_source() reads
  std::string issuer;                           // the required `iss`; empty: not checked
  std::vector<std::string> audience;            // `aud` must hold one of these; empty: not checked
  std::vector<std::string> authorized_parties;  // `azp` must be one of these; empty: not checked
  std::vector<std::string> required;            // claims that a token must have
  std::string subject = "sub";                  // the claim that names the user: a string or an integer
  std::chrono::milliseconds leeway{5000};       // how far the issuer's clock may differ from ours
  bool end_at_expiry = false;                   // at_expiry = "end": a stream ends when its token expires
  std::chrono::milliseconds refresh{300000};    // the interval between two fetches of a JWKS
};

using ProviderList = std::vector<std::unique_ptr<ProviderRule>>;

// Null if no provider has this name.
inline const ProviderRule* find_provider(const ProviderList& providers, std::string_view name) {
  const auto found = std::ranges::find_if(providers, [&](const auto& one) { return one->name == name; });
  return found == providers.end() ? nullptr : found->get();
}

}  // namespace tailgate
