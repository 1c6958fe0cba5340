#include "gateway/auth/refusal.h"

namespace tailgate {

std::string_view word_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::kMissing:
      return "missing";
    case Refusal::kMalformed:
      return "malformed";
    case Refusal::kAlgorithm:
      return "algorithm";
    case Refusal::kKid:
      return "kid";
    case Refusal::kSignature:
      return "signature";
    case Refusal::kClaims:
      return "claims";
    case Refusal::kExpired:
      return "expired";
    case Refusal::kEarly:
      return "early";
    case Refusal::kIssuer:
      return "issuer";
    case Refusal::kAudience:
      return "audience";
    case Refusal::kParty:
      return "party";
    case Refusal::kSubject:
      return "subject";
  }
  return "malformed";
}

std::string_view sentence_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::kMissing:
      return "Authentication is required";
    case Refusal::kMalformed:
      return "The token is malformed";
    case Refusal::kAlgorithm:
      return "The token is signed with an algorithm that is not accepted";
    case Refusal::kKid:
      return "The token is signed with an unknown key";
    case Refusal::kSignature:
      return "The token's signature is wrong";
    case Refusal::kClaims:
      return "The token lacks a required claim, or one has the wrong type";
    case Refusal::kExpired:
      return "The token has expired";
    case Refusal::kEarly:
      return "The token is not valid yet";
    case Refusal::kIssuer:
      return "The token comes from another issuer";
    case Refusal::kAudience:
      return "The token is meant for another audience";
    case Refusal::kParty:
      return "The token was issued to a party that is not accepted";
    case Refusal::kSubject:
      return "The token does not name a user";
  }
  return "The token is malformed";
}

std::optional<Refusal> refusal_named(std::string_view word) {
  for (const Refusal refusal : kRefusals) {
    if (word_of(refusal) == word) return refusal;
  }
  return std::nullopt;
}

std::string challenge_for(Refusal refusal) {
  std::string header = "Bearer realm=\"tailgate\"";
  if (refusal != Refusal::kMissing) {
    header += ", error=\"invalid_token\", error_description=\"";
    header += sentence_of(refusal);
    header += '"';
  }
  return header;
}

}  // namespace tailgate
