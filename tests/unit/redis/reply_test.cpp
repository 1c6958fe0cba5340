#include "gateway/redis/reply.h"

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <memory>
#include <string>

namespace tailgate {
namespace {

struct Free {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, Free>;

// The reply that hiredis parses from these bytes.
Reply parsed(const std::string& bytes) {
  const std::unique_ptr<redisReader, void (*)(redisReader*)> reader(redisReaderCreate(), redisReaderFree);
  void* reply = nullptr;
  redisReaderFeed(reader.get(), bytes.data(), bytes.size());
  redisReaderGetReply(reader.get(), &reply);
  return Reply(static_cast<redisReply*>(reply));
}

TEST(Reply, HasTheTextOfAStringAStatusAndAnError) {
  EXPECT_EQ(text_of(*parsed("$5\r\na\r\nbc\r\n")), "a\r\nbc");
  EXPECT_EQ(text_of(*parsed("+OK\r\n")), "OK");
  EXPECT_EQ(text_of(*parsed("-ERR no\r\n")), "ERR no");
}

TEST(Reply, HasNoTextIfItIsANumberNullOrAnArray) {
  for (const char* bytes : {":7\r\n", "$-1\r\n", "*0\r\n"}) EXPECT_EQ(text_of(*parsed(bytes)), "") << bytes;
}

TEST(Reply, NamesItsErrorOrThatItHasAnotherType) {
  EXPECT_EQ(error_of(*parsed("-ERR no\r\n")), "ERR no");
  EXPECT_EQ(error_of(*parsed("+OK\r\n")), "an answer of another kind");
}

TEST(Reply, DistinguishesAnUnavailableServerFromARefusedCommand) {
  for (const char* word :
       {"LOADING", "MASTERDOWN", "NOAUTH", "READONLY", "TRYAGAIN", "BUSY", "CLUSTERDOWN"}) {
    EXPECT_TRUE(is_unavailable(*parsed("-" + std::string(word) + " wait\r\n"))) << word;
    EXPECT_FALSE(is_unavailable(*parsed("+" + std::string(word) + "\r\n")))
        << word << " as a status is no error";
  }
  for (const char* bytes : {"-ERR LOADING\r\n", "-NOPERM no\r\n", "-WRONGTYPE no\r\n"}) {
    EXPECT_FALSE(is_unavailable(*parsed(bytes))) << bytes;
  }
}

TEST(Reply, ConcernsTheWholeServerWhileItLoadsOrHasLostItsPrimary) {
  EXPECT_TRUE(is_server_unsound(*parsed("-LOADING Redis is loading\r\n")));
  EXPECT_TRUE(is_server_unsound(*parsed("-MASTERDOWN Link with MASTER is down\r\n")));
  for (const char* bytes : {"-NOAUTH no\r\n", "-BUSY no\r\n", "-ERR LOADING\r\n", "+LOADING\r\n"}) {
    EXPECT_FALSE(is_server_unsound(*parsed(bytes))) << bytes;
  }
}

TEST(Reply, RecognizesWrongType) {
  EXPECT_TRUE(is_wrong_type(*parsed("-WRONGTYPE Operation against a key\r\n")));
  EXPECT_FALSE(is_wrong_type(*parsed("-ERR WRONGTYPE\r\n")));
  EXPECT_FALSE(is_wrong_type(*parsed("+WRONGTYPE\r\n")));
}

}  // namespace
}  // namespace tailgate
