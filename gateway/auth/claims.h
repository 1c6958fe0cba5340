// Claims: what a token whose signature is right says, held against its provider's rules.
//
// Pure.  Knows JSON and ProviderRule; knows no key.
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
  std::optional<WallTime> until;  // `exp` and the leeway; none: the token has no end
};

// `payload` is a JSON object without duplicate members (parse_jwt() sees to that).
//  - Every required claim is there; null and "" are as absent.
//  - exp, nbf and iat, where they are, are JSON numbers, with or without a fraction; a date in a string is
//    refused.  exp + leeway > now, nbf and iat <= now + leeway.
//  - iss equals the rule's; aud (a text or a list of texts) has one of the rule's; azp is one of the rule's.
//    A rule that names none does not look.
//  - The subject is a text, or an integer, which is taken as its digits.
std::variant<Claims, Refusal> check_claims(std::string_view payload, const ProviderRule& rule, WallTime now);

// May `subject` go into a header, a log, and a comparison with a record's field?
bool is_subject(std::string_view subject);

}  // namespace tailgate
