#include "gateway/auth/refusal.h"

#include <gtest/gtest.h>

#include <set>

namespace tailgate {
namespace {

const Refusal kRefusals[] = {
    Refusal::kMissing,   Refusal::kMalformed, Refusal::kAlgorithm, Refusal::kKid,
    Refusal::kSignature, Refusal::kClaims,    Refusal::kExpired,   Refusal::kEarly,
    Refusal::kIssuer,    Refusal::kAudience,  Refusal::kParty,     Refusal::kSubject,
};

TEST(Refusal, HasAWordAndASentenceOfItsOwn) {
  std::set<std::string_view> words;
  std::set<std::string_view> sentences;
  for (const Refusal refusal : kRefusals) {
    EXPECT_TRUE(words.insert(word_of(refusal)).second);
    EXPECT_TRUE(sentences.insert(sentence_of(refusal)).second);
    EXPECT_EQ(refusal_named(word_of(refusal)), refusal);
  }
  EXPECT_FALSE(refusal_named("because"));
  EXPECT_FALSE(refusal_named(""));
}

TEST(Refusal, HasTheWordOfItsEnumerator) {
  EXPECT_EQ(word_of(Refusal::kMissing), "missing");
  EXPECT_EQ(word_of(Refusal::kKid), "kid");
  EXPECT_EQ(word_of(Refusal::kExpired), "expired");
  EXPECT_EQ(word_of(Refusal::kSubject), "subject");
}

TEST(Refusal, NamesAnErrorInTheChallengeOnlyIfTheRequestHadAToken) {
  EXPECT_EQ(challenge_for(Refusal::kMissing), "Bearer realm=\"tailgate\"");
  EXPECT_EQ(
      challenge_for(Refusal::kExpired),
      "Bearer realm=\"tailgate\", error=\"invalid_token\", error_description=\"The token has expired\"");
  for (const Refusal refusal : kRefusals) {
    EXPECT_EQ(sentence_of(refusal).find_first_of("\"\\\r\n"), std::string_view::npos);
  }
}

}  // namespace
}  // namespace tailgate
