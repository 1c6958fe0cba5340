#include "gateway/auth/keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/loop_fixture.h"
#include "tests/support/signing_key.h"

namespace tailgate {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::jwks_of;
using testing::RawServer;
using testing::SigningKey;

const KeyTiming kQuick{.fetch = milliseconds(100),
                       .refetch_every = seconds(30),
                       .first_retry = milliseconds(10),
                       .last_retry = milliseconds(20)};

std::string http(const std::string& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

class KeysTest : public testing::LoopTest {
 protected:
  static std::shared_ptr<ProviderList> config(const std::vector<std::string>& jwks) {
    auto made = std::make_shared<ProviderList>();
    auto rule = std::make_unique<ProviderRule>();
    rule->name = "p";
    rule->algorithms = {Algorithm::kRS256};
    rule->jwks = jwks;
    made->push_back(std::move(rule));
    return made;
  }
  std::string leg() const { return "unix:" + path("leg.sock") + ":/jwks.json"; }
  std::string file() const { return "file:" + path("jwks.json"); }
  // The kids that are there: "1 2".
  static std::string kids(const Keys& keys) {
    std::string text;
    const auto issuer = keys.issuer("p");
    if (issuer.keys == nullptr) return "none";
    for (const VerificationKey& key : issuer.keys->keys())
      text += (text.empty() ? "" : " ") + key.kid.value_or("-");
    return text;
  }
  bool comes(const Keys& keys, const std::string& expected) {
    return run_until([&] { return kids(keys) == expected; });
  }

  const std::string one_ = SigningKey::rsa().jwk(R"("kid":"1")");
  const std::string two_ = SigningKey::other_rsa().jwk(R"("kid":"2")");
};

TEST_F(KeysTest, ComeFromAFile) {
  write_file("jwks.json", jwks_of({one_, two_}));
  const Keys keys(loop_, resolver_, config({file()}), kQuick);
  EXPECT_EQ(kids(keys), "none");
  EXPECT_FALSE(keys.had_all());
  EXPECT_TRUE(comes(keys, "1 2"));
  EXPECT_TRUE(keys.had("p"));
  EXPECT_TRUE(keys.had_all());
}

TEST_F(KeysTest, ComeThroughALeg) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  const Keys keys(loop_, resolver_, config({leg()}), kQuick);
  EXPECT_TRUE(comes(keys, "1"));
  EXPECT_EQ(server.requests.at(0).substr(0, 25), "GET /jwks.json HTTP/1.0\r\n");
}

TEST_F(KeysTest, ComeFromSeveralPlacesAtOnce) {
  write_file("jwks.json", jwks_of({one_}));
  RawServer server(loop_, path("leg.sock"), http(jwks_of({two_})));
  const Keys keys(loop_, resolver_, config({file(), leg()}), kQuick);
  EXPECT_TRUE(comes(keys, "1 2"));
}

TEST_F(KeysTest, ComeAsSoonAsTheirPlaceIsThere) {
  const Keys keys(loop_, resolver_, config({leg()}), kQuick);
  run_for(milliseconds(30));
  EXPECT_EQ(kids(keys), "none");
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  EXPECT_TRUE(comes(keys, "1"));
}

TEST_F(KeysTest, AreNotHeldUpByAnotherPlaceThatIsSilent) {
  write_file("jwks.json", jwks_of({one_}));
  RawServer server(loop_, path("leg.sock"), "");
  server.silent = true;
  KeyTiming patient = kQuick;
  patient.fetch = seconds(60);
  const Keys keys(loop_, resolver_, config({leg(), file()}), patient);
  EXPECT_TRUE(comes(keys, "1"));
}

TEST_F(KeysTest, StayWhateverTheirPlaceSaysLater) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  KeyTiming timing = kQuick;
  timing.refetch_every = milliseconds(0);
  Keys keys(loop_, resolver_, config({leg()}), timing);
  ASSERT_TRUE(comes(keys, "1"));
  for (const std::string& answer :
       {http("", "500 Oops"), http(jwks_of({two_}), "302 Found"), http("<html>"), http(R"({"keys":[]})"),
        http(R"({"keys":[{"kty":"oct","k":"AA"}]})"), http(std::string(2U << 20, ' ')),
        std::string("garbage\r\n\r\n"), std::string(),
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + jwks_of({two_})}) {
    server.answer = answer;
    bool done = false;
    const KeyWait wait = keys.refetch("p", [&done] { done = true; });
    ASSERT_NE(wait, nullptr);
    EXPECT_TRUE(run_until([&done] { return done; }));
    EXPECT_EQ(kids(keys), "1") << answer.substr(0, 60);
  }
  server.answer = http(jwks_of({two_}));
  EXPECT_TRUE(comes(keys, "2")) << "and are replaced once it is well again";
}

TEST_F(KeysTest, AreFetchedAtOnceForAnUnknownKidButNotAgainSoon) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  Keys keys(loop_, resolver_, config({leg()}), kQuick);
  ASSERT_TRUE(comes(keys, "1"));
  run_for(milliseconds(2));
  server.answer = http(jwks_of({one_, two_}));
  int done = 0;
  std::vector<KeyWait> waits;
  for (int i = 0; i < 100; ++i) waits.push_back(keys.refetch("p", [&done] { ++done; }));
  EXPECT_EQ(std::count(waits.begin(), waits.end(), nullptr), 0);
  EXPECT_EQ(done, 0) << "never from inside";
  EXPECT_TRUE(run_until([&done] { return done == 100; }));
  EXPECT_EQ(kids(keys), "1 2");
  EXPECT_EQ(server.requests.size(), 2U) << "a hundred who ask are one fetch";
  EXPECT_EQ(keys.refetch("p", [] {}), nullptr) << "within 30 s";
}

TEST_F(KeysTest, AreFetchedAgainAfterARoundThatMayHaveBeenTooEarly) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  KeyTiming timing = kQuick;
  auto made = config({leg(), file()});
  write_file("jwks.json", jwks_of({one_}));
  Keys keys(loop_, resolver_, made, timing);
  ASSERT_TRUE(comes(keys, "1"));  // from the file; the leg's answer is still under way
  bool done = false;
  const KeyWait wait = keys.refetch("p", [&done] { done = true; });
  ASSERT_NE(wait, nullptr);
  EXPECT_TRUE(run_until([&done] { return done; }));
  EXPECT_EQ(server.requests.size(), 2U);
}

TEST_F(KeysTest, ThatHaveNeverBeenHadCanBeWaitedForWhileTheyAreFetched) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  Keys keys(loop_, resolver_, config({leg()}), kQuick);
  std::string found;
  const KeyWait wait = keys.refetch("p", [&] { found = kids(keys); });
  ASSERT_NE(wait, nullptr);
  EXPECT_TRUE(run_until([&found] { return !found.empty(); }));
  EXPECT_EQ(found, "1");
  EXPECT_EQ(server.requests.size(), 1U);
}

TEST_F(KeysTest, ToldToNobodyWhoWaitsNoMore) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  Keys keys(loop_, resolver_, config({leg()}), kQuick);
  bool done = false;
  keys.refetch("p", [&done] { done = true; }).reset();
  EXPECT_TRUE(comes(keys, "1"));
  run_for(milliseconds(5));
  EXPECT_FALSE(done);
}

TEST_F(KeysTest, AreReadAgainFromAFileThatChanged) {
  write_file("jwks.json", jwks_of({one_}));
  Keys keys(loop_, resolver_, config({file()}), kQuick);
  ASSERT_TRUE(comes(keys, "1"));
  write_file("jwks.json", jwks_of({two_}));
  const KeyWait wait = keys.refetch("p", [] {});
  EXPECT_NE(wait, nullptr);
  EXPECT_TRUE(comes(keys, "2"));
}

TEST_F(KeysTest, AreNotReadFromWhatWouldBlockOrFillTheMemory) {
  ASSERT_EQ(mkfifo(path("jwks.json").c_str(), 0600), 0);
  const Keys keys(loop_, resolver_, config({file(), "file:/dev/zero"}), kQuick);
  run_for(milliseconds(20));
  EXPECT_EQ(kids(keys), "none");
}

TEST_F(KeysTest, ComeAnewAtEveryRefresh) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  auto made = config({leg()});
  (*made)[0]->refresh = seconds(1);
  const Keys keys(loop_, resolver_, made, kQuick);
  ASSERT_TRUE(comes(keys, "1"));
  server.answer = http(jwks_of({two_}));
  EXPECT_TRUE(comes(keys, "2"));
}

TEST_F(KeysTest, SurviveAReloadThatLeavesTheirPlace) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  Keys keys(loop_, resolver_, config({leg()}), kQuick);
  ASSERT_TRUE(comes(keys, "1"));
  auto reloaded = config({leg()});
  (*reloaded)[0]->issuer = "https://new";
  keys.on_reload(reloaded);
  EXPECT_EQ(kids(keys), "1");
  EXPECT_EQ(keys.issuer("p").rule->issuer, "https://new");
  keys.on_reload(config({file()}));
  EXPECT_EQ(kids(keys), "none");
}

TEST_F(KeysTest, LeaveNobodyWaitingOverAReload) {
  RawServer server(loop_, path("leg.sock"), "");
  server.silent = true;
  Keys keys(loop_, resolver_, config({leg()}), kQuick);
  bool done = false;
  const KeyWait wait = keys.refetch("p", [&done] { done = true; });
  keys.on_reload(config({file()}));
  EXPECT_TRUE(done);
}

TEST_F(KeysTest, AreNothingToAProviderWithSecrets) {
  auto made = config({});
  (*made)[0]->secrets = {"secret"};
  Keys keys(loop_, resolver_, made, kQuick);
  EXPECT_NE(keys.issuer("p").rule, nullptr);
  EXPECT_EQ(keys.issuer("p").keys, nullptr);
  EXPECT_TRUE(keys.had_all());
  EXPECT_EQ(keys.refetch("p", [] {}), nullptr);
  EXPECT_EQ(keys.issuer("unknown").rule, nullptr);
  EXPECT_FALSE(keys.had("unknown"));
}

}  // namespace
}  // namespace tailgate
