#include "gateway/auth/provider_keys.h"

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

std::string http(const std::string& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

class ProviderKeysTest : public testing::LoopTest {
 protected:
  ProviderKeysTest() {
    rule_.name = "p";
    rule_.algorithms = {Algorithm::kRS256};
  }
  // Makes keys_ with these sources.  The first round of fetches begins when the loop runs.
  ProviderKeys& fetch(std::vector<std::string> sources) {
    rule_.jwks = std::move(sources);
    return *(keys_ = std::make_unique<ProviderKeys>(loop_, resolver_, rule_, timing_));
  }
  std::string socket() const { return "unix:" + path("leg.sock") + ":/jwks.json"; }
  std::string file() const { return "file:" + path("jwks.json"); }
  // The kids of the keys: "1 2".
  std::string kids() const {
    if (keys_->keys() == nullptr) return "none";
    std::string text;
    for (const VerificationKey& key : keys_->keys()->keys()) {
      text += (text.empty() ? "" : " ") + key.kid.value_or("-");
    }
    return text;
  }
  bool become(const std::string& expected) {
    return run_until([&] { return kids() == expected; });
  }
  // Refetches and waits for the end of the round; false if no refetch is allowed now.
  bool refetch() {
    bool is_done = false;
    const KeyWait wait = keys_->refetch([&is_done] { is_done = true; });
    return wait != nullptr && run_until([&is_done] { return is_done; });
  }

  const std::string one_ = SigningKey::rsa().jwk(R"("kid":"1")");
  const std::string two_ = SigningKey::other_rsa().jwk(R"("kid":"2")");
  ProviderRule rule_;
  KeyTiming timing_{.fetch = milliseconds(1000),
                    .refetch_every = seconds(30),
                    .first_retry = milliseconds(10),
                    .last_retry = milliseconds(20)};
  std::unique_ptr<ProviderKeys> keys_;
};

// ---- sources

TEST_F(ProviderKeysTest, ComeFromAFile) {
  write_file("jwks.json", jwks_of({one_, two_}));
  fetch({file()});
  EXPECT_EQ(kids(), "none") << "before the loop has run";
  EXPECT_TRUE(become("1 2"));
}

TEST_F(ProviderKeysTest, ComeFromAUnixSocket) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  fetch({socket()});
  EXPECT_TRUE(become("1"));
  const std::string& request = server.requests.at(0);
  EXPECT_TRUE(request.starts_with("GET /jwks.json HTTP/1.0\r\nHost: localhost\r\n")) << request;
  EXPECT_NE(request.find("Accept: application/json\r\n"), std::string::npos) << request;
}

TEST_F(ProviderKeysTest, ComeFromSeveralSourcesAtOnce) {
  write_file("jwks.json", jwks_of({one_}));
  RawServer server(loop_, path("leg.sock"), http(jwks_of({two_})));
  fetch({socket(), file()});
  EXPECT_TRUE(become("2 1")) << "in the order of the sources";
}

TEST_F(ProviderKeysTest, AreNotHeldUpByASilentSource) {
  write_file("jwks.json", jwks_of({one_}));
  RawServer server(loop_, path("leg.sock"), "");
  server.silent = true;
  timing_.fetch = seconds(60);
  fetch({socket(), file()});
  EXPECT_TRUE(become("1"));
}

TEST_F(ProviderKeysTest, AreNotReadFromAFifoOrAnEndlessFile) {
  ASSERT_EQ(mkfifo(path("jwks.json").c_str(), 0600), 0);
  fetch({file(), "file:/dev/zero"});
  EXPECT_TRUE(refetch()) << "the round ends";
  EXPECT_EQ(kids(), "none");
}

// ---- read_again()

TEST_F(ProviderKeysTest, AreReadAgainFromAFileAtOnce) {
  write_file("jwks.json", jwks_of({one_}));
  fetch({file()});
  ASSERT_TRUE(become("1"));
  write_file("jwks.json", jwks_of({two_}));
  keys_->read_again();
  EXPECT_EQ(kids(), "2");
}

TEST_F(ProviderKeysTest, OfAServerStayUntilItHasAnsweredAgain) {
  rule_.refresh = seconds(3600);
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  fetch({socket()});
  ASSERT_TRUE(become("1"));
  server.answer = http(jwks_of({two_}));
  keys_->read_again();
  EXPECT_EQ(kids(), "1");
  EXPECT_TRUE(become("2"));
  EXPECT_EQ(server.requests.size(), 2U);
}

TEST_F(ProviderKeysTest, AreAskedForAgainWhileAServerIsSilent) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  server.silent = true;
  timing_.fetch = seconds(60);
  fetch({socket()});
  ASSERT_TRUE(run_until([&] { return server.requests.size() == 1; }));
  bool is_done = false;
  const KeyWait wait = keys_->refetch([&is_done] { is_done = true; });
  server.silent = false;
  keys_->read_again();
  EXPECT_TRUE(become("1")) << "the silent fetch was dropped";
  EXPECT_TRUE(run_until([&is_done] { return is_done; })) << "a request that waits is answered";
}

TEST_F(ProviderKeysTest, AreReadAgainOnScheduleAfterARereading) {
  rule_.refresh = seconds(1);
  write_file("jwks.json", jwks_of({one_}));
  fetch({file()});
  ASSERT_TRUE(become("1"));
  keys_->read_again();
  write_file("jwks.json", jwks_of({two_}));
  EXPECT_TRUE(become("2"));
}

// ---- failures

TEST_F(ProviderKeysTest, AreFetchedAgainSoonWhileASourceFails) {
  rule_.refresh = seconds(3600);
  fetch({socket()});
  ASSERT_TRUE(refetch());
  EXPECT_EQ(kids(), "none");
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  EXPECT_TRUE(become("1"));
}

TEST_F(ProviderKeysTest, AreNotFetchedAgainSoonOnceEverySourceHasAnswered) {
  rule_.refresh = seconds(3600);
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  fetch({socket()});
  ASSERT_TRUE(become("1"));
  run_for(milliseconds(100));  // five times the longest retry
  EXPECT_EQ(server.requests.size(), 1U);
}

TEST_F(ProviderKeysTest, StayWhenALaterAnswerIsInvalid) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  timing_.refetch_every = milliseconds(0);
  timing_.fetch = milliseconds(100);
  fetch({socket()});
  ASSERT_TRUE(become("1"));
  for (const std::string& answer :
       {http("", "500 Oops"), http(jwks_of({two_}), "302 Found"), http("<html>"),
        http(std::string(2U << 20, ' ')), std::string("garbage\r\n\r\n"), std::string(),
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + jwks_of({two_})}) {
    server.answer = answer;
    EXPECT_TRUE(refetch());
    EXPECT_EQ(kids(), "1") << answer.substr(0, 60);
  }
  server.answer = http(jwks_of({two_}));
  EXPECT_TRUE(become("2")) << "a valid answer replaces them";
}

TEST_F(ProviderKeysTest, StayWhenTheirSourceFailsWhileAnotherSourceChanges) {
  timing_.refetch_every = milliseconds(0);
  write_file("jwks.json", jwks_of({one_}));
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_, two_})));
  fetch({socket(), file()});
  ASSERT_TRUE(become("1 2 1"));
  server.answer = http("", "503 Busy");
  write_file("jwks.json", jwks_of({two_}));
  ASSERT_TRUE(refetch());
  EXPECT_EQ(kids(), "1 2 2");
}

// ---- sets without usable keys

TEST_F(ProviderKeysTest, AreWithdrawnByASetThatHoldsNoUsableKey) {
  for (const std::string text : {R"({"keys":[]})", R"({"keys":[{"kty":"oct","k":"AA"}]})",
                                 R"({"keys":[{"kty":"RSA","use":"enc"}]})"}) {
    write_file("jwks.json", jwks_of({one_}));
    fetch({file()});
    ASSERT_TRUE(become("1"));
    write_file("jwks.json", text);
    ::testing::internal::CaptureStderr();
    keys_->read_again();
    const std::string log = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(kids(), "") << text;
    EXPECT_TRUE(keys_->is_complete());
    EXPECT_NE(log.find("keys.empty"), std::string::npos) << log;
  }
}

TEST_F(ProviderKeysTest, AreAskedForAgainSoonWhileASetIsEmpty) {
  rule_.refresh = seconds(3600);
  write_file("jwks.json", R"({"keys":[]})");
  fetch({file()});
  ASSERT_TRUE(become(""));
  write_file("jwks.json", jwks_of({one_}));
  EXPECT_TRUE(become("1"));
}

TEST_F(ProviderKeysTest, AreNotAskedForAgainSoonWhileOneOfTwoSetsIsEmpty) {
  rule_.refresh = seconds(3600);
  write_file("jwks.json", R"({"keys":[]})");
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  fetch({socket(), file()});
  ASSERT_TRUE(become("1"));
  run_for(milliseconds(100));  // five times the longest retry
  EXPECT_EQ(server.requests.size(), 1U);
}

TEST_F(ProviderKeysTest, AreLoggedIfASetIsEmptyWhicheverSourceAnswersFirst) {
  write_file("jwks.json", jwks_of({one_}));
  write_file("empty.json", R"({"keys":[]})");
  const std::string empty = "file:" + path("empty.json");
  for (const auto& sources : {std::vector{file(), empty}, std::vector{empty, file()}}) {
    fetch(sources);
    ::testing::internal::CaptureStderr();
    ASSERT_TRUE(become("1"));
    const std::string log = ::testing::internal::GetCapturedStderr();
    EXPECT_NE(log.find("keys.empty"), std::string::npos) << log;
    EXPECT_NE(log.find("keys.refreshed"), std::string::npos) << log;
  }
}

TEST_F(ProviderKeysTest, AreLoggedIfOneIsLeftOutEvenIfTheOthersStay) {
  write_file("jwks.json", jwks_of({one_}));
  fetch({file()});
  ASSERT_TRUE(become("1"));
  write_file("jwks.json", jwks_of({one_, R"({"kty":"RSA","alg":"PS384","n":"AQAB","e":"AQAB"})"}));
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(refetch());
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("keys.refreshed"), std::string::npos) << log;
  EXPECT_NE(log.find("key 1: "), std::string::npos) << log;
}

TEST_F(ProviderKeysTest, OfASecondSourceAreUsedBesideThirtyTwoOfTheFirst) {
  std::string many;
  for (std::size_t i = 0; i < kMaxKeys; ++i) {
    many += (many.empty() ? "" : ",") + SigningKey::ed25519().jwk(R"("kid":"m)" + std::to_string(i) + '"');
  }
  write_file("jwks.json", R"({"keys":[)" + many + "]}");
  write_file("two.json", jwks_of({two_}));
  fetch({file(), "file:" + path("two.json")});
  EXPECT_TRUE(
      run_until([&] { return keys_->keys() != nullptr && keys_->keys()->candidates("2").size() == 1; }));
}

// ---- replace_rule()

TEST_F(ProviderKeysTest, OfASourceStayWhenAnotherSourceIsAdded) {
  ProviderRule both = rule_;
  {
    RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
    fetch({socket()});
    ASSERT_TRUE(become("1"));
  }
  write_file("jwks.json", jwks_of({two_}));
  both.jwks = {socket(), file()};
  keys_->replace_rule(both);
  keys_->read_again();
  EXPECT_EQ(kids(), "1 2");
  EXPECT_TRUE(keys_->is_complete());
  ProviderRule second = rule_;
  second.jwks = {file()};
  keys_->replace_rule(second);
  EXPECT_EQ(kids(), "2") << "the keys of a removed source are not believed";
  keys_->read_again();
  EXPECT_EQ(kids(), "2");
}

TEST_F(ProviderKeysTest, AreIncompleteWhileASourceHasNeverAnswered) {
  write_file("jwks.json", jwks_of({one_}));
  fetch({socket(), file()});
  ASSERT_TRUE(become("1"));
  EXPECT_FALSE(keys_->is_complete());
}

// ---- refresh

TEST_F(ProviderKeysTest, AreFetchedAgainAfterTheRefreshInterval) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  rule_.refresh = seconds(1);
  const auto begin = Loop::now();
  fetch({socket()});
  ASSERT_TRUE(become("1"));
  server.answer = http(jwks_of({two_}));
  EXPECT_TRUE(become("2"));
  EXPECT_GE(Loop::now() - begin, milliseconds(900)) << "jitter shortens the interval by a tenth at most";
}

TEST_F(ProviderKeysTest, FollowTheRefreshIntervalOfANewRule) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  timing_.refetch_every = milliseconds(0);
  fetch({socket()});
  ASSERT_TRUE(become("1"));
  ProviderRule changed = rule_;
  changed.refresh = seconds(1);
  keys_->replace_rule(changed);
  EXPECT_EQ(&keys_->rule(), &changed);
  ASSERT_TRUE(refetch());
  server.answer = http(jwks_of({two_}));
  EXPECT_TRUE(become("2"));
}

// ---- refetch

TEST_F(ProviderKeysTest, AreRefetchedOnceForAHundredUnknownKids) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  fetch({socket()});
  ASSERT_TRUE(become("1"));
  run_for(milliseconds(2));  // the round ends
  server.answer = http(jwks_of({one_, two_}));
  int done = 0;
  std::vector<KeyWait> waits;
  for (int i = 0; i < 100; ++i) waits.push_back(keys_->refetch([&done] { ++done; }));
  EXPECT_EQ(std::count(waits.begin(), waits.end(), nullptr), 0);
  EXPECT_EQ(done, 0) << "never from within refetch()";
  EXPECT_TRUE(run_until([&done] { return done == 100; }));
  EXPECT_EQ(kids(), "1 2");
  EXPECT_EQ(server.requests.size(), 2U);
  EXPECT_EQ(keys_->refetch([] {}), nullptr) << "within 30 s";
  EXPECT_EQ(server.requests.size(), 2U);
}

TEST_F(ProviderKeysTest, AreRefetchedAtMostOnceInEachInterval) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  timing_.refetch_every = milliseconds(200);
  fetch({socket()});
  ASSERT_TRUE(become("1"));
  run_for(milliseconds(2));
  const auto begin = Loop::now();
  ASSERT_TRUE(refetch());
  EXPECT_EQ(keys_->refetch([] {}), nullptr);
  KeyWait wait;
  bool is_done = false;
  EXPECT_TRUE(run_until([&] {
    wait = keys_->refetch([&is_done] { is_done = true; });
    return wait != nullptr;
  }));
  EXPECT_GE(Loop::now() - begin, timing_.refetch_every);
  EXPECT_TRUE(run_until([&is_done] { return is_done; }));
  EXPECT_EQ(server.requests.size(), 3U);
}

TEST_F(ProviderKeysTest, AreRefetchedAfterARoundThatBeganBeforeTheRequest) {
  write_file("jwks.json", jwks_of({one_}));
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  fetch({socket(), file()});
  ASSERT_TRUE(become("1"));  // from the file; the socket has not answered
  EXPECT_TRUE(refetch());
  EXPECT_EQ(server.requests.size(), 2U);
  EXPECT_EQ(keys_->refetch([] {}), nullptr) << "the extra round was the refetch of this interval";
}

TEST_F(ProviderKeysTest, CanBeAwaitedInTheFirstRoundWithoutARefetch) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  fetch({socket()});
  EXPECT_TRUE(refetch());
  EXPECT_EQ(kids(), "1");
  EXPECT_EQ(server.requests.size(), 1U);
  EXPECT_TRUE(refetch()) << "the first round does not begin an interval";
}

TEST_F(ProviderKeysTest, CanBeRefetchedIfTheFirstRoundFailed) {
  timing_.first_retry = seconds(60);
  timing_.last_retry = seconds(60);
  fetch({socket()});
  ASSERT_TRUE(refetch());
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  EXPECT_TRUE(refetch());
  EXPECT_EQ(kids(), "1");
}

TEST_F(ProviderKeysTest, AreNotAnnouncedToADestroyedWaiter) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  fetch({socket()});
  bool is_done = false;
  keys_->refetch([&is_done] { is_done = true; }).reset();
  EXPECT_TRUE(refetch()) << "another waiter of the same round";
  EXPECT_FALSE(is_done);
}

TEST_F(ProviderKeysTest, AreAnnouncedToEachWaiterOnce) {
  fetch({socket()});
  int done = 0;
  const KeyWait wait = keys_->refetch([&done] { ++done; });
  keys_->notify_waiters();
  EXPECT_EQ(done, 1);
  ASSERT_TRUE(refetch());
  EXPECT_EQ(done, 1);
}

TEST_F(ProviderKeysTest, WaitForTheRunningRefreshBeforeTheyAreRefetched) {
  RawServer server(loop_, path("leg.sock"), http(jwks_of({one_})));
  rule_.refresh = seconds(1);
  fetch({socket()});
  ASSERT_TRUE(become("1"));
  server.silent = true;
  ASSERT_TRUE(run_until([&] { return server.requests.size() == 2; }));
  const KeyWait wait = keys_->refetch([] {});
  EXPECT_NE(wait, nullptr);
  run_for(milliseconds(50));
  EXPECT_EQ(server.requests.size(), 2U) << "no refetch before the refresh has ended";
  EXPECT_TRUE(run_until([&] { return server.requests.size() == 3; }));
}

TEST_F(ProviderKeysTest, AreRetriedSoonAfterASuccessHasResetTheBackoff) {
  rule_.refresh = seconds(3600);
  timing_ = {.fetch = seconds(1),
             .refetch_every = milliseconds(0),
             .first_retry = milliseconds(1),
             .last_retry = seconds(3600)};
  fetch({file()});
  for (int i = 0; i < 25; ++i) ASSERT_TRUE(refetch()) << "each failure doubles the backoff";
  write_file("jwks.json", jwks_of({one_}));
  ASSERT_TRUE(refetch());
  ASSERT_EQ(kids(), "1");
  write_file("jwks.json", "");
  ASSERT_TRUE(refetch());
  write_file("jwks.json", jwks_of({two_}));
  EXPECT_TRUE(become("2"));
}

}  // namespace
}  // namespace tailgate
