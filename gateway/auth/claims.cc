#include "gateway/auth/claims.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

using Kind = JsonValue::Kind;

constexpr std::size_t kMaxSubjectBytes = 256;
constexpr double kMaxSeconds = 253402300799;  // the end of the year 9999

bool is_absent(const JsonValue* claim) {
  return claim == nullptr || claim->kind == Kind::kNull || claim->raw == "\"\"";
}

bool is_one_of(const JsonValue* claim, const std::vector<std::string>& texts) {
  return claim != nullptr && claim->is_string() && contains(texts, claim->text());
}

// RFC 7519 section 2, "NumericDate".
std::optional<WallTime> date_of(const JsonValue& claim) {
  if (claim.kind != Kind::kNumber) return std::nullopt;
  double seconds = 0;
  const char* end = claim.raw.data() + claim.raw.size();
  if (std::from_chars(claim.raw.data(), end, seconds).ec != std::errc()) return std::nullopt;
  seconds = std::clamp(seconds, -kMaxSeconds, kMaxSeconds);
  return WallTime(std::chrono::milliseconds(std::llround(seconds * 1000)));
}

// Checks exp, nbf and iat.  Sets `until` if there is an exp.
std::optional<ClaimFault> check_dates(const Members& claims, const ProviderRule& rule, WallTime now,
                                      std::optional<WallTime>& until) {
  if (const JsonValue* claim = claims.find("exp")) {
    const auto exp = date_of(*claim);
    if (!exp) return ClaimFault{Refusal::kClaims, "exp"};
    until = *exp + rule.leeway;
  }
  std::optional<ClaimFault> early;
  for (const char* name : {"nbf", "iat"}) {
    const JsonValue* claim = claims.find(name);
    if (claim == nullptr) continue;
    const auto date = date_of(*claim);
    if (!date) return ClaimFault{Refusal::kClaims, name};
    if (!early && *date > now + rule.leeway) early = ClaimFault{Refusal::kEarly, name};
  }
  if (until && *until <= now) return ClaimFault{Refusal::kExpired, "exp"};
  return early;
}

bool has_audience(const JsonValue* aud, const std::vector<std::string>& audience) {
  if (aud == nullptr || aud->kind != Kind::kArray) return is_one_of(aud, audience);
  const auto elements = json_elements(aud->raw);
  return std::ranges::all_of(elements, &JsonValue::is_string) &&
         std::ranges::any_of(elements, [&](const JsonValue& one) { return is_one_of(&one, audience); });
}

// True for "0", "42" and "-7".  False for "-0", which some JSON libraries write back as "0".
bool is_plain_integer(std::string_view number) {
  if (number == "-0") return false;
  if (number.starts_with('-')) number.remove_prefix(1);
  return std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string subject_of(const JsonValue* claim) {
  if (claim == nullptr) return {};
  if (claim->kind == Kind::kNumber && is_plain_integer(claim->raw)) return std::string(claim->raw);
  return claim->is_string() ? claim->text() : std::string();
}

}  // namespace

bool is_subject(std::string_view subject) {
  // U+FFFD may have replaced ill-formed bytes.  Then different names would become equal.
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  return !subject.empty() && subject.size() <= kMaxSubjectBytes && !has_control(subject) &&
         is_utf8(subject) && subject.find(kReplacement) == std::string_view::npos;
}

std::variant<Claims, ClaimFault> check_claims(std::string_view payload, const ProviderRule& rule,
                                              WallTime now) {
  Members claims;
  if (!claims.read(payload)) return ClaimFault{Refusal::kClaims};
  for (const std::string& name : rule.required) {
    if (is_absent(claims.find(name))) return ClaimFault{Refusal::kClaims, name};
  }
  Claims checked;
  if (auto fault = check_dates(claims, rule, now, checked.until)) return std::move(*fault);
  if (!rule.issuer.empty() && !is_one_of(claims.find("iss"), {rule.issuer}))
    return ClaimFault{Refusal::kIssuer, "iss"};
  if (!rule.audience.empty() && !has_audience(claims.find("aud"), rule.audience))
    return ClaimFault{Refusal::kAudience, "aud"};
  if (!rule.authorized_parties.empty() && !is_one_of(claims.find("azp"), rule.authorized_parties))
    return ClaimFault{Refusal::kParty, "azp"};
  checked.subject = subject_of(claims.find(rule.subject));
  if (!is_subject(checked.subject)) return ClaimFault{Refusal::kSubject, rule.subject};
  return checked;
}

}  // namespace tailgate
