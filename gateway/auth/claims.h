// Claims: checks a token's claims against its provider's rules, after the signature has been verified.
//
// Pure.  Knows JSON and ProviderRule; knows no signing key.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "gateway/auth/provider.h"
#include "gateway/auth/refusal.h"
#include "gateway/base/wall_time.h"

namespace tailgate {

struct Claims {
  std::string subject;            // 1 to 256 bytes of UTF-8 without control characters
  std::optional<WallTime> until;  // `exp` plus the leeway; none: the token never expires
};

// Why claims are refused.
struct ClaimFault {
  Refusal refusal;
  // The claim that is missing or wrong.  Its name comes from the rule or from the list below, never from the
  // token.
  std::string claim{};
};

// Precondition: `payload` is a JSON object without duplicate members; parse_jwt() checks that.
// Refuses the token unless all these rules hold:
//  - Every required claim is present; null and "" count as absent.
//  - exp, nbf and iat, if present, are JSON numbers, with or without a fraction.  A date in a string is
//    refused.  exp + leeway > now; nbf <= now + leeway; iat <= now + leeway.
//  - iss is the rule's issuer; aud (a string or a list of strings) holds an audience of the rule; azp is an
//    authorized party of the rule.  A claim for which the rule has no value is not checked.
//  - The subject claim is a string or an integer.  The digits of an integer become the subject.
std::variant<Claims, ClaimFault> check_claims(std::string_view payload, const ProviderRule& rule,
                                              WallTime now);

// True for 1 to 256 bytes of UTF-8 without control characters and without U+FFFD.
bool is_subject(std::string_view subject);

}  // namespace tailgate
