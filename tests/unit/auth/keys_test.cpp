#include "gateway/auth/keys.h"

#include <gtest/gtest.h>

#include "tests/support/loop_fixture.h"
#include "tests/support/signing_key.h"

namespace tailgate {
namespace {

using testing::jwks_of;
using testing::SigningKey;

class KeysTest : public testing::LoopTest {
 protected:
  KeysTest() {
    write_file("one.json", jwks_of({SigningKey::rsa().jwk(R"("kid":"1")")}));
    write_file("two.json", jwks_of({SigningKey::other_rsa().jwk(R"("kid":"2")")}));
  }
  // The provider "p" with one JWKS, and the provider "s" with a secret.
  std::shared_ptr<ProviderList> providers(const std::string& jwks) const {
    auto list = std::make_shared<ProviderList>();
    list->push_back(std::make_unique<ProviderRule>());
    list->back()->name = "p";
    list->back()->jwks = {"file:" + path(jwks)};
    list->push_back(std::make_unique<ProviderRule>());
    list->back()->name = "s";
    list->back()->secrets = {"secret"};
    return list;
  }
  static std::string kid(const Keys& keys) {
    const Provider provider = keys.provider("p");
    return provider.keys == nullptr ? "none" : provider.keys->keys().at(0).kid.value_or("-");
  }
};

TEST_F(KeysTest, AreFoundByTheNameOfTheirProvider) {
  const Keys keys(loop_, resolver_, providers("one.json"));
  EXPECT_EQ(keys.provider("p").rule->name, "p");
  EXPECT_TRUE(run_until([&] { return kid(keys) == "1"; }));
  EXPECT_EQ(keys.provider("s").rule->name, "s");
  EXPECT_EQ(keys.provider("s").keys, nullptr);
  EXPECT_EQ(keys.provider("unknown").rule, nullptr);
}

TEST_F(KeysTest, AreAvailableOnceTheyHaveBeenFetched) {
  const Keys keys(loop_, resolver_, providers("one.json"));
  EXPECT_FALSE(keys.has_keys("p"));
  EXPECT_TRUE(keys.has_keys("s")) << "a secret needs no fetch";
  EXPECT_FALSE(keys.has_keys("unknown"));
  EXPECT_FALSE(keys.has_all_keys());
  EXPECT_TRUE(run_until([&] { return keys.has_keys("p"); }));
  EXPECT_TRUE(keys.has_all_keys());
}

TEST_F(KeysTest, AreRefetchedForAProviderWithAJwksOnly) {
  Keys keys(loop_, resolver_, providers("one.json"));
  EXPECT_NE(keys.refetch("p", [] {}), nullptr);
  EXPECT_EQ(keys.refetch("s", [] {}), nullptr);
  EXPECT_EQ(keys.refetch("unknown", [] {}), nullptr);
}

TEST_F(KeysTest, SurviveAReloadThatKeepsTheirSource) {
  Keys keys(loop_, resolver_, providers("one.json"));
  ASSERT_TRUE(run_until([&] { return kid(keys) == "1"; }));
  auto reloaded = providers("one.json");
  reloaded->front()->issuer = "https://new";
  keys.on_reload(reloaded);
  EXPECT_EQ(kid(keys), "1");
  EXPECT_EQ(keys.provider("p").rule->issuer, "https://new");
}

TEST_F(KeysTest, AreFetchedAgainAfterAReloadThatChangesTheirSource) {
  Keys keys(loop_, resolver_, providers("one.json"));
  ASSERT_TRUE(run_until([&] { return kid(keys) == "1"; }));
  keys.on_reload(providers("two.json"));
  EXPECT_EQ(kid(keys), "2") << "a new file is read before on_reload() returns";
}

TEST_F(KeysTest, OfANewFileAreCheckedBeforeAReload) {
  Keys keys(loop_, resolver_, providers("one.json"));
  EXPECT_TRUE(keys.check_new_files(*providers("two.json")));
  const Status missing = keys.check_new_files(*providers("typo.json"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error(), "provider.p.jwks: " + path("typo.json") + ": No such file or directory");
  write_file("two.json", "no JWKS");
  const Status malformed = keys.check_new_files(*providers("two.json"));
  ASSERT_FALSE(malformed);
  EXPECT_TRUE(malformed.error().starts_with("provider.p.jwks: " + path("two.json") + ": "))
      << malformed.error();
  write_file("one.json", "no JWKS");
  EXPECT_TRUE(keys.check_new_files(*providers("one.json"))) << "a file in use may keep its old keys";
}

TEST_F(KeysTest, OfAProviderThatNoRouteNamesDoNotHoldUpReadiness) {
  const auto list = providers("typo.json");
  const Keys keys(loop_, resolver_, list);
  EXPECT_FALSE(keys.has_all_keys());
  EXPECT_EQ(keys.why_missing(), "provider p: has not fetched its keys yet");
  EXPECT_TRUE(run_until([&] { return keys.why_missing().starts_with("provider p: "); }));
  EXPECT_TRUE(run_until([&] { return keys.why_missing().find("typo.json") != std::string::npos; }));
  list->front()->is_named = false;
  EXPECT_TRUE(keys.has_all_keys());
  EXPECT_EQ(keys.why_missing(), "");
}

TEST_F(KeysTest, OfAFileAreReadAgainByAReloadBeforeItReturns) {
  Keys keys(loop_, resolver_, providers("one.json"));
  ASSERT_TRUE(run_until([&] { return kid(keys) == "1"; }));
  write_file("one.json", jwks_of({SigningKey::other_rsa().jwk(R"("kid":"3")")}));
  keys.on_reload(providers("one.json"));
  EXPECT_EQ(kid(keys), "3") << "a withdrawn key is believed no longer";
}

TEST_F(KeysTest, StayIfAReloadCannotReadTheirFile) {
  Keys keys(loop_, resolver_, providers("one.json"));
  ASSERT_TRUE(run_until([&] { return kid(keys) == "1"; }));
  write_file("one.json", "no JWKS");
  keys.on_reload(providers("one.json"));
  EXPECT_EQ(kid(keys), "1");
}

TEST_F(KeysTest, AreThereForARequestThatWaitedForThemWhenAReloadCame) {
  Keys keys(loop_, resolver_, providers("one.json"));
  std::string seen;
  const KeyWait wait = keys.refetch("p", [&] { seen = kid(keys) + keys.provider("p").rule->issuer; });
  auto reloaded = providers("one.json");
  reloaded->front()->issuer = "https://new";
  keys.on_reload(reloaded);
  EXPECT_EQ(seen, "1https://new");
}

TEST_F(KeysTest, AreForgottenWhenAReloadRemovesTheirProvider) {
  Keys keys(loop_, resolver_, providers("one.json"));
  bool is_done = false;
  const KeyWait wait = keys.refetch("p", [&is_done] { is_done = true; });
  keys.on_reload(std::make_shared<ProviderList>());
  EXPECT_TRUE(is_done);
  EXPECT_EQ(keys.provider("p").rule, nullptr);
  EXPECT_TRUE(keys.has_all_keys());
}

TEST_F(KeysTest, AreReportedAsAMetricForEachProvider) {
  const Keys keys(loop_, resolver_, providers("one.json"));
  const auto metrics = [&keys] {
    MetricsText out;
    keys.write_metrics(out);
    return out.text();
  };
  const std::string head =
      "# HELP tailgate_provider_keys 1 if the provider's keys are there.\n# TYPE tailgate_provider_keys "
      "gauge\n";
  EXPECT_EQ(metrics(),
            head + "tailgate_provider_keys{provider=\"p\"} 0\ntailgate_provider_keys{provider=\"s\"} 1\n");
  ASSERT_TRUE(run_until([&] { return keys.has_keys("p"); }));
  EXPECT_EQ(metrics(),
            head + "tailgate_provider_keys{provider=\"p\"} 1\ntailgate_provider_keys{provider=\"s\"} 1\n");
}

}  // namespace
}  // namespace tailgate
