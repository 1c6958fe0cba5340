#include "gateway/redis/reply_arena.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>

namespace tailgate {
namespace {

std::string description_of(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_INTEGER:
      return "integer " + std::to_string(reply.integer);
    case REDIS_REPLY_NIL:
      return "nil";
    case REDIS_REPLY_ARRAY: {
      std::string all = "[";
      for (std::size_t i = 0; i < reply.elements; ++i)
        all.append(description_of(*reply.element[i])).append(",");
      return all.append("]");
    }
    default: {
      const std::string text(reply.str, static_cast<std::size_t>(reply.len));
      EXPECT_EQ(reply.str[text.size()], '\0');
      return std::to_string(reply.type) + " " + text;
    }
  }
}

// Only the reader of the context is used.  It is never connected.
class ReplyArenaTest : public testing::Test {
 protected:
  ReplyArenaTest() : context_(redisConnectFd(-1)) { arena_.serve(*context_); }

  redisReader& reader() { return *context_->reader; }
  void feed(std::string_view bytes) { redisReaderFeed(&reader(), bytes.data(), bytes.size()); }
  // A description of the next reply; empty while the reply is incomplete.
  std::string next() {
    void* reply = nullptr;
    if (redisReaderGetReply(&reader(), &reply) != REDIS_OK) return reader().errstr;
    if (reply == nullptr) return {};
    const std::string words = description_of(*static_cast<const redisReply*>(reply));
    reader().fn->freeObject(reply);
    return words;
  }

  struct Free {
    void operator()(redisContext* context) const { redisFree(context); }
  };
  ReplyArena arena_;
  std::unique_ptr<redisContext, Free> context_;
};

TEST_F(ReplyArenaTest, BuildsEachKindOfReply) {
  using std::string_literals::operator""s;
  feed("+OK\r\n-ERR no\r\n:42\r\n$4\r\na\0\r\n\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n*2\r\n*1\r\n:1\r\n$-1\r\n"s);
  EXPECT_EQ(next(), "5 OK");
  EXPECT_EQ(next(), "6 ERR no");
  EXPECT_EQ(next(), "integer 42");
  EXPECT_EQ(next(), "1 a\0\r\n"s);
  EXPECT_EQ(next(), "1 ");
  EXPECT_EQ(next(), "nil");
  EXPECT_EQ(next(), "nil");
  EXPECT_EQ(next(), "[]");
  EXPECT_EQ(next(), "[[integer 1,],nil,]");
  EXPECT_EQ(next(), "");
}

TEST_F(ReplyArenaTest, BuildsTheSameRepliesAsHiredisHoweverTheBytesArrive) {
  std::mt19937 random(7);
  const auto up_to = [&](unsigned most) { return std::uniform_int_distribution<unsigned>(0, most)(random); };
  const std::function<std::string(unsigned)> any = [&](unsigned deep) -> std::string {
    switch (up_to(deep < 3 ? 5 : 3)) {
      case 0:
        return ":" + std::to_string(random()) + "\r\n";
      case 1:
        return up_to(1) != 0 ? "$-1\r\n" : "-ERR some\r\n";
      case 4:
      case 5: {
        const unsigned count = up_to(20);
        std::string array = "*" + std::to_string(count) + "\r\n";
        for (unsigned i = 0; i < count; ++i) array += any(deep + 1);
        return array;
      }
      default: {
        const std::string text(up_to(9) == 0 ? up_to(20000) : up_to(30), 'x');
        return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
      }
    }
  };
  const std::unique_ptr<redisReader, decltype(&redisReaderFree)> theirs(redisReaderCreate(), redisReaderFree);
  std::string sent;
  for (unsigned i = 0; i < 300; ++i) sent += any(0);
  std::string_view left(sent);
  unsigned replies = 0;
  while (!left.empty()) {
    const std::string_view piece = left.substr(0, 1 + up_to(5000));
    left.remove_prefix(piece.size());
    feed(piece);
    redisReaderFeed(theirs.get(), piece.data(), piece.size());
    for (;;) {
      void* reply = nullptr;
      ASSERT_EQ(redisReaderGetReply(theirs.get(), &reply), REDIS_OK);
      const std::string expected =
          reply == nullptr ? std::string() : description_of(*static_cast<redisReply*>(reply));
      if (reply != nullptr) freeReplyObject(reply);
      ASSERT_EQ(next(), expected);
      if (expected.empty()) break;
      ++replies;
    }
  }
  EXPECT_EQ(replies, 300);
}

TEST_F(ReplyArenaTest, RefusesAnArrayOfTwoBillionElements) {
  feed("*2147483647\r\n");
  EXPECT_EQ(next(), "Out of memory");
  EXPECT_EQ(arena_.kept(), 0);
}

TEST_F(ReplyArenaTest, FreesTheMemoryOfAMalformedReply) {
  feed("*2\r\n$300000\r\n" + std::string(300000, 'x') + "\r\n?what\r\n");
  EXPECT_EQ(next(), R"(Protocol error, got "?" as reply type byte)");
  EXPECT_LE(arena_.kept(), 128U * 1024);
}

TEST_F(ReplyArenaTest, FreesAnUnfinishedReplyWhenTheConnectionDies) {
  feed("*2\r\n$300000\r\n" + std::string(300000, 'x') + "\r\n");
  EXPECT_EQ(next(), "");
  EXPECT_GT(arena_.kept(), 300000);
  context_.reset();
  EXPECT_LE(arena_.kept(), 128U * 1024);
}

TEST_F(ReplyArenaTest, KeepsAtMost128KilobytesForTheNextReply) {
  const auto array = [](unsigned lines) {
    std::string all = "*" + std::to_string(lines) + "\r\n";
    for (unsigned i = 0; i < lines; ++i) all.append("$200\r\n").append(200, 'x').append("\r\n");
    return all;
  };
  feed(array(10000));
  EXPECT_GT(next().size(), 2'000'000);
  EXPECT_LE(arena_.kept(), 128U * 1024);
  feed("$300000\r\n" + std::string(300000, 'x') + "\r\n");
  EXPECT_EQ(next().size(), 300002);
  EXPECT_LE(arena_.kept(), 128U * 1024);
#ifndef __SANITIZE_ADDRESS__
  const std::size_t kept = arena_.kept();
  EXPECT_GT(kept, 100'000);
  feed(array(200));
  next();
  EXPECT_EQ(arena_.kept(), kept);
#endif
}

}  // namespace
}  // namespace tailgate
