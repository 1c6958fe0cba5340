#include "gateway/auth/claims.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr WallTime kNow{seconds(1'700'000'000)};

std::variant<Claims, ClaimFault> check(std::string_view payload, const ProviderRule& rule = {}) {
  return check_claims(payload, rule, kNow);
}

std::string subject(std::string_view payload, const ProviderRule& rule = {}) {
  const auto checked = check(payload, rule);
  EXPECT_TRUE(std::holds_alternative<Claims>(checked)) << payload;
  return std::holds_alternative<Claims>(checked) ? std::get<Claims>(checked).subject : "";
}

// kGood if the claims are accepted.  No claim can cause kMissing.
Refusal refusal(std::string_view payload, const ProviderRule& rule = {}) {
  const auto checked = check(payload, rule);
  return std::holds_alternative<ClaimFault>(checked) ? std::get<ClaimFault>(checked).refusal
                                                     : Refusal::kMissing;
}
constexpr Refusal kGood = Refusal::kMissing;

// The claim at fault; "-" if the claims are accepted.
std::string fault(std::string_view payload, const ProviderRule& rule = {}) {
  const auto checked = check(payload, rule);
  return std::holds_alternative<ClaimFault>(checked) ? std::get<ClaimFault>(checked).claim : "-";
}

std::string with(std::string_view claims) {
  return R"({"sub":"ann",)" + std::string(claims) + '}';
}

// The rule for builder's tokens, which Clerk issues.
ProviderRule clerk() {
  ProviderRule rule;
  rule.required = {"sub", "exp", "nbf", "iat", "azp"};
  rule.issuer = "https://clerk.example.com";
  rule.authorized_parties = {"https://app.example.com"};
  return rule;
}
constexpr std::string_view kClerk =
    R"({"azp":"https://app.example.com","exp":1700000060,"iat":1700000000,"iss":"https://clerk.example.com",)"
    R"("nbf":1699999990,"sid":"sess_1","sub":"user_1"})";

std::string clerk_with(std::string_view old_part, std::string_view new_part) {
  std::string payload(kClerk);
  return payload.replace(payload.find(old_part), old_part.size(), new_part);
}

TEST(Claims, OfAClerkTokenNameTheUserAndTheExpiry) {
  const auto checked = check(kClerk, clerk());
  ASSERT_TRUE(std::holds_alternative<Claims>(checked));
  EXPECT_EQ(std::get<Claims>(checked).subject, "user_1");
  EXPECT_EQ(std::get<Claims>(checked).until, kNow + seconds(60) + clerk().leeway);
}

TEST(Claims, ThatAreRequiredMustBePresent) {
  EXPECT_EQ(refusal(clerk_with(R"("azp":"https://app.example.com",)", ""), clerk()), Refusal::kClaims);
  EXPECT_EQ(refusal(clerk_with(R"("exp":1700000060,)", ""), clerk()), Refusal::kClaims);
  EXPECT_EQ(refusal(clerk_with(R"("iat":1700000000,)", ""), clerk()), Refusal::kClaims);
  EXPECT_EQ(refusal(clerk_with(R"("nbf":1699999990,)", ""), clerk()), Refusal::kClaims);
  EXPECT_EQ(refusal(clerk_with(R"(,"sub":"user_1")", ""), clerk()), Refusal::kClaims);
  EXPECT_EQ(refusal(clerk_with(R"("azp":"https://app.example.com")", R"("azp":null)"), clerk()),
            Refusal::kClaims);
  EXPECT_EQ(refusal(clerk_with(R"("azp":"https://app.example.com")", R"("azp":"")"), clerk()),
            Refusal::kClaims);
}

TEST(Claims, AreRefusedForAnotherIssuerOrParty) {
  EXPECT_EQ(refusal(clerk_with("https://clerk.example.com", "https://clerk.example.org"), clerk()),
            Refusal::kIssuer);
  EXPECT_EQ(refusal(clerk_with("https://clerk.example.com", "https://clerk.example.com/"), clerk()),
            Refusal::kIssuer);
  EXPECT_EQ(refusal(clerk_with(R"("iss":"https://clerk.example.com",)", ""), clerk()), Refusal::kIssuer);
  EXPECT_EQ(
      refusal(clerk_with(R"("iss":"https://clerk.example.com")", R"("iss":["https://clerk.example.com"])"),
              clerk()),
      Refusal::kIssuer);
  EXPECT_EQ(refusal(clerk_with("https://app.example.com", "https://evil.example.com"), clerk()),
            Refusal::kParty);
  EXPECT_EQ(refusal(clerk_with("https://app.example.com", "https://APP.example.com"), clerk()),
            Refusal::kParty);
}

TEST(Claims, MayNameAnyIssuerPartyAndAudienceIfTheRuleNamesNone) {
  EXPECT_EQ(subject(with(R"("iss":"whoever","azp":"whatever","aud":["anything"])")), "ann");
}

TEST(Claims, NameTheAudienceInAStringOrInAList) {
  ProviderRule rule;
  rule.audience = {"api", "web"};
  EXPECT_EQ(refusal(with(R"("aud":"api")"), rule), kGood);
  EXPECT_EQ(refusal(with(R"("aud":["other","web"])"), rule), kGood);
  EXPECT_EQ(refusal(with(R"("aud":["other"])"), rule), Refusal::kAudience);
  EXPECT_EQ(refusal(with(R"("aud":[])"), rule), Refusal::kAudience);
  EXPECT_EQ(refusal(with(R"("aud":"API")"), rule), Refusal::kAudience);
  EXPECT_EQ(refusal(with(R"("aud":"api,web")"), rule), Refusal::kAudience);
  EXPECT_EQ(refusal(with(R"("aud":["api",7])"), rule), Refusal::kAudience);
  EXPECT_EQ(refusal(with(R"("aud":[["api"]])"), rule), Refusal::kAudience);
  EXPECT_EQ(refusal(with(R"("aud":{"api":true})"), rule), Refusal::kAudience);
  EXPECT_EQ(refusal(R"({"sub":"ann"})", rule), Refusal::kAudience);
}

TEST(Claims, ExpireAtExpPlusTheLeeway) {
  ProviderRule rule;
  rule.leeway = seconds(5);
  EXPECT_EQ(refusal(with(R"("exp":1700000001)"), rule), kGood);
  EXPECT_EQ(refusal(with(R"("exp":1699999996)"), rule), kGood);
  EXPECT_EQ(refusal(with(R"("exp":1699999995)"), rule), Refusal::kExpired);
  EXPECT_EQ(refusal(with(R"("exp":0)"), rule), Refusal::kExpired);
  EXPECT_EQ(refusal(with(R"("exp":-1)"), rule), Refusal::kExpired);
}

TEST(Claims, AreEarlyBeforeNbfOrIat) {
  ProviderRule rule;
  rule.leeway = seconds(5);
  for (const std::string name : {"nbf", "iat"}) {
    EXPECT_EQ(refusal(with('"' + name + "\":1700000005"), rule), kGood);
    EXPECT_EQ(refusal(with('"' + name + "\":1700000006"), rule), Refusal::kEarly);
  }
}

TEST(Claims, AreExpiredRatherThanEarlyIfBoth) {
  EXPECT_EQ(refusal(with(R"("exp":1,"nbf":1800000000)")), Refusal::kExpired);
}

TEST(Claims, MayHaveDatesWithAFraction) {
  ProviderRule rule;
  rule.leeway = seconds(0);
  EXPECT_EQ(refusal(with(R"("exp":1700000000.5)"), rule), kGood);
  EXPECT_EQ(refusal(with(R"("exp":1699999999.5)"), rule), Refusal::kExpired);
  EXPECT_EQ(refusal(with(R"("exp":1.70000006e9)"), rule), kGood);
  const auto checked = check(with(R"("exp":1700000000.25)"), rule);
  EXPECT_EQ(std::get<Claims>(checked).until, kNow + milliseconds(250));
}

TEST(Claims, AreRefusedIfADateIsNotANumber) {
  for (const std::string_view date :
       {R"("1800000000")", "null", "true", "[1800000000]", "{}", "\"never\"", "1e999"}) {
    for (const std::string_view name : {"exp", "nbf", "iat"}) {
      EXPECT_EQ(refusal(with('"' + std::string(name) + "\":" + std::string(date))), Refusal::kClaims)
          << name << date;
    }
  }
}

TEST(Claims, MayHaveDatesOfAnySize) {
  EXPECT_EQ(refusal(with(R"("exp":1e300)")), kGood);
  EXPECT_EQ(refusal(with(R"("exp":99999999999999999999)")), kGood);
  EXPECT_EQ(refusal(with(R"("nbf":1e300)")), Refusal::kEarly);
  EXPECT_EQ(refusal(with(R"("exp":-1e300)")), Refusal::kExpired);
}

TEST(Claims, WithoutExpNeverExpire) {
  EXPECT_FALSE(std::get<Claims>(check(R"({"sub":"ann"})")).until);
}

TEST(Claims, NameTheSubjectByAStringOrAnInteger) {
  ProviderRule blog;
  blog.subject = "userId";
  EXPECT_EQ(subject(R"({"userId":"42"})", blog), "42");
  EXPECT_EQ(subject(R"({"userId":42})", blog), "42");
  EXPECT_EQ(subject(R"({"userId":12345678901234567890})", blog), "12345678901234567890");
  EXPECT_EQ(subject(R"({"userId":"J\u00fcrgen"})", blog), "Jürgen");
  for (const std::string_view id :
       {"4.2", "42.0", "4e1", "-0", "true", "null", "[]", "{}", R"([42])", R"({"$ne":""})"}) {
    EXPECT_EQ(refusal(R"({"userId":)" + std::string(id) + '}', blog), Refusal::kSubject) << id;
  }
  EXPECT_EQ(refusal(R"({"sub":"ann"})", blog), Refusal::kSubject);
}

TEST(Claims, AreRefusedWithAnEmptyTooLongOrUnprintableSubject) {
  for (const std::string_view text :
       {"", R"(\u0000)", R"(ann\u0000)", R"(a\r\nX: y)", R"(a\u007f)", R"(\ud800)"}) {
    EXPECT_EQ(refusal(R"({"sub":")" + std::string(text) + R"("})"), Refusal::kSubject) << text;
  }
  EXPECT_EQ(refusal(R"({"sub":")" + std::string(257, 'a') + R"("})"), Refusal::kSubject);
  EXPECT_EQ(refusal(R"({"sub":")" + std::string(256, 'a') + R"("})"), kGood);
}

TEST(Claims, AreRefusedWithTheNameOfTheClaimAtFault) {
  EXPECT_EQ(fault(clerk_with(R"("azp":"https://app.example.com",)", ""), clerk()), "azp");
  EXPECT_EQ(fault(clerk_with(R"("iat":1700000000,)", ""), clerk()), "iat");
  EXPECT_EQ(fault(clerk_with("https://app.example.com", "https://evil.example.com"), clerk()), "azp");
  EXPECT_EQ(fault(clerk_with("https://clerk.example.com", "https://clerk.example.org"), clerk()), "iss");
  EXPECT_EQ(fault(with(R"("exp":"1800000000")")), "exp");
  EXPECT_EQ(fault(with(R"("iat":"1700000000")")), "iat");
  EXPECT_EQ(fault(with(R"("exp":0)")), "exp");
  EXPECT_EQ(fault(with(R"("nbf":1800000000,"iat":1800000000)")), "nbf");
  EXPECT_EQ(fault(with(R"("nbf":0,"iat":1800000000)")), "iat");
  ProviderRule rule;
  rule.audience = {"api"};
  rule.subject = "userId";
  EXPECT_EQ(fault(with(R"("userId":"42")"), rule), "aud");
  EXPECT_EQ(fault(with(R"("aud":"api")"), rule), "userId");
  rule.required = {"tenant"};
  EXPECT_EQ(fault(with(R"("aud":"api","userId":"42","tenant":null)"), rule), "tenant");
  EXPECT_EQ(fault(with(R"("aud":"api","userId":"42","tenant":"t")"), rule), "-");
}

}  // namespace
}  // namespace tailgate
