#include "gateway/endpoints/auth.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "tests/support/signing_key.h"
#include "tests/support/stream_fixture.h"

namespace tailgate {
namespace {

class AuthTest : public testing::StreamTest {
 protected:
  AuthTest() {
    auto socket = listen_unix({.path = path("auth.sock"), .mode = 0600, .group = {}});
    server_ = std::make_unique<HttpServer>(
        loop_, std::move(*socket),
        [this](std::unique_ptr<Exchange> exchange) { auth_.handle_request(std::move(exchange)); });
    server_->start();
  }

  static std::string token(int seconds) {
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    return testing::sign_token("0123456789abcdef0123456789abcdef", Algorithm::kHS256,
                               R"({"sub":"alice","exp":)" + std::to_string(now + seconds) + '}');
  }
  testing::HttpClient ask(const std::string& uri, HttpHeaders headers = {},
                          const std::string& method = "GET") {
    headers.emplace_back("X-Tailgate-Uri", uri);
    headers.emplace_back("X-Tailgate-Method", method);
    testing::HttpClient client(path("auth.sock"), "/auth", headers);
    EXPECT_TRUE(run_until([&] { return client.status() != 0; }));
    return client;
  }

  Keys keys_{loop_, resolver_, {config_, &config_->providers}};
  std::unique_ptr<HttpServer> server_;
  Auth auth_{loop_, config_, seal_, drain_, keys_};
};

TEST_F(AuthTest, AnswersAGoodTokenWithAnIdentityForThisJobAndRoute) {
  auto client = ask("/guarded/1?x=y", {{"Authorization", "Bearer " + token(60)}});
  EXPECT_EQ(client.status(), 204);
  EXPECT_TRUE(client.got("X-Tailgate-Verdict: ok\r\n"));
  const std::string& raw = client.raw();
  const std::size_t begin = raw.find("X-Tailgate-Identity: ") + 21;
  const std::string sealed = raw.substr(begin, raw.find("\r\n", begin) - begin);
  const auto now = std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
  const auto opened = seal_.open(sealed, "guarded", "1", now);
  EXPECT_EQ(opened.outcome, IdentitySeal::Outcome::kGenuine) << raw;
  EXPECT_EQ(opened.identity.user, "alice");
  EXPECT_EQ(seal_.open(sealed, "guarded", "2", now).outcome, IdentitySeal::Outcome::kForged);
}

TEST_F(AuthTest, RefusesAMissingAndAnExpiredToken) {
  auto missing = ask("/guarded/1");
  EXPECT_EQ(missing.status(), 401);
  EXPECT_TRUE(missing.got("WWW-Authenticate: "));
  auto expired = ask("/guarded/1", {{"Authorization", "Bearer " + token(-3600)}});
  EXPECT_EQ(expired.status(), 401);
  EXPECT_TRUE(expired.got("X-Tailgate-Verdict: 401-expired\r\n"));
}

TEST_F(AuthTest, LeavesUnknownPathsAndOtherMethodsToTheStreamListener) {
  EXPECT_EQ(ask("/nothing").status(), 204);
  EXPECT_EQ(ask("/guarded/1", {}, "DELETE").status(), 204);
  EXPECT_EQ(ask("/events/1").status(), 204) << "a route for anyone";
}

TEST_F(AuthTest, AnswersOnlyItsOwnPath) {
  testing::HttpClient client(path("auth.sock"), "/other");
  EXPECT_TRUE(run_until([&] { return client.status() == 404; }));
}

TEST_F(AuthTest, CountsVerdicts) {
  (void)ask("/guarded/1");
  (void)ask("/guarded/1", {{"Authorization", "Bearer " + token(60)}});
  MetricsText out;
  auth_.write_metrics(out);
  EXPECT_NE(out.text().find("tailgate_auth_verdicts_total{verdict=\"ok\"} 1\n"), std::string::npos);
  EXPECT_NE(out.text().find("tailgate_auth_verdicts_total{verdict=\"401-missing\"} 1\n"), std::string::npos)
      << out.text();
  EXPECT_NE(out.text().find("tailgate_token_verifications_total 1\n"), std::string::npos);
}

TEST_F(AuthTest, CountsRefusedTokensByProviderReasonAndClaim) {
  (void)ask("/guarded/1");
  const std::string nobody = testing::sign_token("0123456789abcdef0123456789abcdef", Algorithm::kHS256,
                                                 R"({"exp":4000000000,"evil":"\u0022} 1"})");
  for (int i = 0; i < 2; ++i) {
    auto client = ask("/guarded/1", {{"Authorization", "Bearer " + nobody}});
    EXPECT_TRUE(client.got("X-Tailgate-Verdict: 401-subject\r\n")) << "the answer does not name the claim";
    EXPECT_FALSE(client.got("sub\"")) << client.raw();
  }
  const std::string endless =
      testing::sign_token("0123456789abcdef0123456789abcdef", Algorithm::kHS256, R"({"sub":"alice"})");
  EXPECT_TRUE(
      ask("/guarded/1", {{"Authorization", "Bearer " + endless}}).got("X-Tailgate-Verdict: 401-claims\r\n"));
  (void)ask("/guarded/1", {{"Authorization", "Bearer garbage"}});
  MetricsText out;
  auth_.write_metrics(out);
  const std::size_t begin = out.text().find("tailgate_tokens_refused_total{");
  ASSERT_NE(begin, std::string::npos);
  EXPECT_EQ(out.text().substr(begin),
            "tailgate_tokens_refused_total{provider=\"\",reason=\"malformed\",claim=\"\"} 1\n"
            "tailgate_tokens_refused_total{provider=\"p\",reason=\"claims\",claim=\"exp\"} 1\n"
            "tailgate_tokens_refused_total{provider=\"p\",reason=\"subject\",claim=\"sub\"} 2\n");
}

}  // namespace
}  // namespace tailgate
