#include "gateway/auth/identity_seal.h"

#include <gtest/gtest.h>

#include "gateway/text/digest.h"
#include "gateway/text/netstring.h"
#include "gateway/text/text.h"

namespace tailgate {
namespace {

using std::chrono::seconds;
using Outcome = IdentitySeal::Outcome;

constexpr WallTime kNow{seconds(1'700'000'000)};
constexpr WallTime kExpiry = kNow + seconds(300);
const std::string kKey(32, 'k');
const std::string kOtherKey(32, 'o');
const Identity kAnn{.user = "ann", .session = "", .provider = "clerk", .until = kNow + seconds(60)};

Outcome outcome(const IdentitySeal& seal, std::string_view sealed, WallTime now = kNow,
                std::string_view route = "events", std::string_view job = "j1") {
  return seal.open(sealed, route, job, now).outcome;
}

TEST(IdentitySeal, OpensToTheSealedIdentity) {
  const IdentitySeal seal({kKey});
  for (const Identity& identity :
       {kAnn, Identity{.user = "", .session = "s-1", .provider = "", .until = {}},
        Identity{.user = "Jürgen 1:2", .session = "~!\"", .provider = "p", .until = {}}}) {
    const auto opened = seal.open(seal.seal(identity, "events", "j1", kExpiry), "events", "j1", kNow);
    EXPECT_EQ(opened.outcome, Outcome::kGenuine);
    EXPECT_EQ(opened.identity, identity);
  }
}

TEST(IdentitySeal, FitsIntoAHeader) {
  const IdentitySeal seal({kKey});
  const Identity longest{.user = std::string(256, '\xC3'),
                         .session = std::string(256, '~'),
                         .provider = "provider",
                         .until = kNow};
  const std::string sealed = seal.seal(longest, "route", "job", kExpiry);
  EXPECT_LT(sealed.size(), 1024U);
  EXPECT_EQ(sealed.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."),
            std::string::npos);
}

TEST(IdentitySeal, IsExpiredAndNotForgedAfterItsExpiry) {
  const IdentitySeal seal({kKey});
  const std::string sealed = seal.seal(kAnn, "events", "j1", kExpiry);
  EXPECT_EQ(outcome(seal, sealed, kExpiry - std::chrono::milliseconds(1)), Outcome::kGenuine);
  EXPECT_EQ(outcome(seal, sealed, kExpiry), Outcome::kExpired);
  EXPECT_EQ(seal.open(sealed, "events", "j1", kExpiry).identity, kAnn);
}

TEST(IdentitySeal, OpensForNoOtherRouteOrJob) {
  const IdentitySeal seal({kKey});
  const std::string sealed = seal.seal(kAnn, "events", "j1", kExpiry);
  EXPECT_EQ(outcome(seal, sealed, kNow, "status", "j1"), Outcome::kForged);
  EXPECT_EQ(outcome(seal, sealed, kNow, "events", "j2"), Outcome::kForged);
  EXPECT_EQ(outcome(seal, sealed, kNow, "events", ""), Outcome::kForged);
  EXPECT_EQ(outcome(seal, sealed, kNow, "event", "sj1"), Outcome::kForged)
      << "the border between route and job counts";
}

TEST(IdentitySeal, RefusesEveryChangedByte) {
  const IdentitySeal seal({kKey});
  const std::string sealed = seal.seal(kAnn, "events", "j1", kExpiry);
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    for (const char c : {'A', 'B', '.', '=', ' ', '\0'}) {
      std::string changed = sealed;
      if (changed[i] == c) continue;
      changed[i] = c;
      EXPECT_EQ(outcome(seal, changed), Outcome::kForged) << i << ' ' << c;
    }
    EXPECT_EQ(outcome(seal, sealed.substr(0, i)), Outcome::kForged);
  }
  EXPECT_EQ(outcome(seal, sealed + 'A'), Outcome::kForged);
  EXPECT_EQ(outcome(seal, ' ' + sealed), Outcome::kForged);
}

TEST(IdentitySeal, RefusesForgedSeals) {
  const IdentitySeal seal({kKey});
  const std::string payload = "3:ann0:5:clerk0:13:1900000000000";
  for (const std::string& forged :
       {std::string(), std::string("v1"), std::string("v1.."), std::string("ann"),
        "v1." + base64url_encode(payload) + '.', "v1." + base64url_encode(payload) + ".AA",
        "v1." + base64url_encode(payload) + '.' + base64url_encode(std::string(32, '\0')),
        std::string(100'000, 'v')}) {
    EXPECT_EQ(outcome(seal, forged), Outcome::kForged) << forged.substr(0, 80);
  }
}

TEST(IdentitySeal, KeepsItsFieldsApart) {
  const IdentitySeal seal({kKey});
  const Identity split{.user = "ann0:", .session = "", .provider = "", .until = {}};
  const auto opened = seal.open(seal.seal(split, "r", "j", kExpiry), "r", "j", kNow);
  EXPECT_EQ(opened.identity, split);
}

TEST(IdentitySeal, OpensWithEveryKeyAndSealsWithTheFirst) {
  const IdentitySeal before({kKey});
  const IdentitySeal during({kOtherKey, kKey});
  const IdentitySeal after({kOtherKey});
  const std::string old_one = before.seal(kAnn, "events", "j1", kExpiry);
  const std::string new_one = during.seal(kAnn, "events", "j1", kExpiry);
  EXPECT_EQ(outcome(during, old_one), Outcome::kGenuine);
  EXPECT_EQ(outcome(after, old_one), Outcome::kForged);
  EXPECT_EQ(outcome(after, new_one), Outcome::kGenuine);
  EXPECT_EQ(outcome(before, new_one), Outcome::kForged);
}

TEST(IdentityKeys, AreReadInHexadecimalAndBase64NewestFirst) {
  const auto keys = parse_identity_keys(
      "# rotated in May\n"
      "6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6F6F6F6F6F6F6F6F6F6F6F6F6F6F6F6F\r\n"
      "\n"
      "  a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=\n"
      "____________________________________-_____8\n"
      "////////////////////////////////////+/////8=");
  ASSERT_TRUE(keys) << keys.error();
  ASSERT_EQ(keys->size(), 4U);
  EXPECT_EQ((*keys)[0], kOtherKey);
  EXPECT_EQ((*keys)[1], kKey);
  EXPECT_EQ((*keys)[2].size(), 32U);
  EXPECT_EQ((*keys)[3].size(), 32U);
}

TEST(IdentityKeys, AreReportedByLineAndNotQuotedIfTheyAreMalformed) {
  const auto broken = parse_identity_keys("\nsecret-but-too-short\n");
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error(), "line 2 is not a key of 32 bytes in hexadecimal or base64");
  EXPECT_FALSE(parse_identity_keys(""));
  EXPECT_FALSE(parse_identity_keys("# nothing\n"));
  EXPECT_FALSE(parse_identity_keys(std::string(62, 'a')));
  EXPECT_FALSE(parse_identity_keys(std::string(63, 'a') + 'g'));
  EXPECT_FALSE(parse_identity_keys(std::string(44, '=')));
}

TEST(IdentityKeys, AreMadeAtRandomAndCanBeRead) {
  const auto one = make_identity_keys();
  const auto other = make_identity_keys();
  ASSERT_TRUE(one && other);
  EXPECT_NE(*one, *other);
  const auto keys = parse_identity_keys(*one + *other);
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->size(), 2U);
}

TEST(IdentitySeal, OpensWithAReplacedKeyForTheLifeOfASeal) {
  const std::string third(32, 't');
  IdentitySeal seal({kKey});
  const std::string old_one = seal.seal(kAnn, "events", "j1", kNow + seconds(900));
  seal.replace({kOtherKey}, kNow, seconds(300));
  const std::string new_one = seal.seal(kAnn, "events", "j1", kNow + seconds(900));
  EXPECT_EQ(outcome(IdentitySeal({kOtherKey}), new_one), Outcome::kGenuine) << "the new key seals at once";
  EXPECT_EQ(outcome(seal, old_one, kNow + seconds(299)), Outcome::kGenuine);
  EXPECT_EQ(outcome(seal, old_one, kNow + seconds(300)), Outcome::kForged);

  seal.replace({third}, kNow + seconds(200), seconds(300));
  EXPECT_EQ(outcome(seal, old_one, kNow + seconds(299)), Outcome::kGenuine)
      << "the second replacement shortened its time";
  EXPECT_EQ(outcome(seal, old_one, kNow + seconds(300)), Outcome::kForged)
      << "the second replacement prolonged its time";
  EXPECT_EQ(outcome(seal, new_one, kNow + seconds(499)), Outcome::kGenuine);
  EXPECT_EQ(outcome(seal, new_one, kNow + seconds(500)), Outcome::kForged);
}

TEST(IdentitySeal, DoesNotChangeIfTheSameKeysAreReloaded) {
  IdentitySeal seal({kKey});
  const std::string sealed = seal.seal(kAnn, "events", "j1", kNow + seconds(900));
  seal.replace({kKey}, kNow, seconds(300));
  EXPECT_EQ(outcome(seal, sealed, kNow + seconds(800)), Outcome::kGenuine);
  EXPECT_EQ(seal.seal(kAnn, "events", "j1", kNow + seconds(900)), sealed);
}

// A seal with a valid MAC around any payload.
std::string sealed_payload(const std::string& payload) {
  std::string text;
  for (const std::string& part :
       {std::string("tailgate-identity-v1"), std::string("events"), std::string("j1"), payload}) {
    append_netstring(text, part);
  }
  return "v1." + base64url_encode(payload) + '.' + base64url_encode(hmac(Hash::kSha256, kKey, text));
}

TEST(IdentitySeal, RefusesAnIncompletePayloadWithAValidMac) {
  const IdentitySeal seal({kKey});
  const std::string whole = "3:ann0:5:clerk0:13:1900000000000";
  EXPECT_EQ(outcome(seal, sealed_payload(whole)), Outcome::kGenuine);
  for (const char* payload : {"", "3:ann", "3:ann0:", "3:ann0:5:clerk",
                              "3:ann0:5:clerk0:", "3:ann0:5:clerk0:0:", "3:ann0:5:clerk0:13:190000000000x",
                              "3:ann0:5:clerk0:13:19000000000000:"}) {
    EXPECT_EQ(outcome(seal, sealed_payload(payload)), Outcome::kForged) << payload;
  }
}

TEST(IdentitySeal, RefusesASealOfMoreThan4096Bytes) {
  const IdentitySeal seal({kKey});
  for (std::size_t length = 2900; length < 3100; ++length) {
    const Identity identity{.user = std::string(length, 'u'), .session = {}, .provider = {}, .until = {}};
    const std::string sealed = seal.seal(identity, "events", "j1", kExpiry);
    EXPECT_EQ(outcome(seal, sealed), sealed.size() <= 4096 ? Outcome::kGenuine : Outcome::kForged)
        << sealed.size();
  }
}

TEST(IdentityKeys, AreAtMostSixteen) {
  std::string text;
  for (int i = 0; i < 16; ++i) text += std::string(64, 'a') + '\n';
  EXPECT_TRUE(parse_identity_keys(text));
  const auto more = parse_identity_keys(text + std::string(64, 'b'));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error(), "it holds more than 16 keys");
}

}  // namespace
}  // namespace tailgate
