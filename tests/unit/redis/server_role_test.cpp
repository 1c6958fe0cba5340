#include "gateway/redis/server_role.h"

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <memory>
#include <string>

namespace tailgate {
namespace {

using Kind = ServerRole::Kind;

// The role that is read from these bytes.
ServerRole role_of(const std::string& bytes) {
  const std::unique_ptr<redisReader, void (*)(redisReader*)> reader(redisReaderCreate(), redisReaderFree);
  void* reply = nullptr;
  redisReaderFeed(reader.get(), bytes.data(), bytes.size());
  redisReaderGetReply(reader.get(), &reply);
  const ServerRole role = read_role(*static_cast<redisReply*>(reply));
  freeReplyObject(reply);
  return role;
}

ServerRole replica(const std::string& state, const std::string& host = "10.0.0.5") {
  return role_of("*5\r\n$5\r\nslave\r\n$" + std::to_string(host.size()) + "\r\n" + host + "\r\n:6379\r\n$" +
                 std::to_string(state.size()) + "\r\n" + state + "\r\n:14\r\n");
}

const ServerRole kPrimary = role_of("*3\r\n$6\r\nmaster\r\n:14\r\n*0\r\n");
const ServerRole kSentinel = role_of("*2\r\n$8\r\nsentinel\r\n*1\r\n$8\r\nmymaster\r\n");

TEST(ServerRole, IsReadFromTheAnswerToRole) {
  EXPECT_EQ(kPrimary.kind, Kind::kPrimary);
  EXPECT_EQ(kSentinel.kind, Kind::kSentinel);
  EXPECT_EQ(replica("connected").kind, Kind::kReplica);
  EXPECT_EQ(replica("connected").primary, "10.0.0.5:6379");
  EXPECT_TRUE(replica("connected").follows);
}

TEST(ServerRole, IsUnknownIfRedisAnswersWithSomethingElse) {
  for (const char* bytes : {"-NOPERM no\r\n", "+OK\r\n", "*0\r\n", "*1\r\n:1\r\n", "*1\r\n$5\r\nslave\r\n",
                            "$-1\r\n", "*1\r\n$9\r\nsomething\r\n"}) {
    EXPECT_FALSE(role_of(bytes).known()) << bytes;
    EXPECT_EQ(why_unsound(role_of(bytes)), "") << bytes;
  }
}

TEST(ServerRole, IsUnsoundForASentinel) {
  EXPECT_EQ(why_unsound(kSentinel),
            "this is a Sentinel, which holds no data; redis.url must name the primary");
}

TEST(ServerRole, IsUnsoundForAReplicaThatDoesNotFollowItsPrimary) {
  for (const char* state : {"none", "connect", "connecting", "handshake", "sync", "unknown"}) {
    EXPECT_EQ(why_unsound(replica(state)), "this replica does not follow its primary 10.0.0.5:6379") << state;
  }
}

TEST(ServerRole, IsSoundForAPrimaryAndForAReplicaThatFollows) {
  EXPECT_EQ(why_unsound(kPrimary), "");
  EXPECT_EQ(why_unsound(replica("connected")), "");
}

TEST(ServerRole, ChangesByDemotionByPromotionAndByAnotherPrimary) {
  EXPECT_EQ(why_changed(kPrimary, replica("connected")),
            "the server was a primary and is a replica of 10.0.0.5:6379");
  EXPECT_EQ(why_changed(replica("connected"), kPrimary),
            "the server was a replica of 10.0.0.5:6379 and is a primary");
  EXPECT_EQ(why_changed(replica("connected"), replica("connected", "b")),
            "the server was a replica of 10.0.0.5:6379 and is a replica of b:6379");
}

TEST(ServerRole, DoesNotChangeByItsOffsetOrByTheStateOfItsLink) {
  EXPECT_EQ(why_changed(kPrimary, role_of("*3\r\n$6\r\nmaster\r\n:99\r\n*0\r\n")), "");
  EXPECT_EQ(why_changed(replica("connected"), replica("sync")), "") << "why_unsound() reports this";
}

}  // namespace
}  // namespace tailgate
