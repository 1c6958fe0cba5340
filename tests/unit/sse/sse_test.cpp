#include "gateway/sse/sse.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

std::string event(std::string_view name, std::string_view data, std::string_view id = {}) {
  std::string out;
  append_event(out, name, data, id);
  return out;
}

TEST(Sse, WritesNameDataAndIdInThisOrder) {
  EXPECT_EQ(event("log", "{}", "1-0"), "event: log\ndata: {}\nid: 1-0\n\n");
}

TEST(Sse, OmitsAnEmptyNameAndAnEmptyId) {
  EXPECT_EQ(event("", "x"), "data: x\n\n");
}

TEST(Sse, WritesALineForEmptyData) {
  EXPECT_EQ(event("ping", ""), "event: ping\ndata: \n\n");
}

TEST(Sse, WritesADataLineForEachLineOfThePayload) {
  EXPECT_EQ(event("", "a\nb\rc\r\nd"), "data: a\ndata: b\ndata: c\ndata: d\n\n");
  EXPECT_EQ(event("", "a\n\n"), "data: a\ndata: \ndata: \n\n");
  EXPECT_EQ(event("", "\n\r"), "data: \ndata: \ndata: \n\n");
  EXPECT_EQ(event("", "\na"), "data: \ndata: a\n\n");
  EXPECT_EQ(event("", "\ra\r\n\nb\r"), "data: \ndata: a\ndata: \ndata: b\ndata: \n\n");
}

TEST(Sse, NoPayloadForgesAnEvent) {
  EXPECT_EQ(event("", "x\n\nevent: done\ndata: y"), "data: x\ndata: \ndata: event: done\ndata: data: y\n\n");
}

TEST(Sse, PassesOtherBytesOfAPayloadUnchanged) {
  const std::string_view bytes("\x00\xff\xe2\x80\xa8 ", 6);
  EXPECT_EQ(event("", bytes), "data: " + std::string(bytes) + "\n\n");
}

TEST(Sse, RefusesNamesWithLineEndsOrNul) {
  EXPECT_TRUE(is_sse_name("progress-update"));
  EXPECT_TRUE(is_sse_name(""));
  EXPECT_FALSE(is_sse_name("a\nb"));
  EXPECT_FALSE(is_sse_name("a\rb"));
  EXPECT_FALSE(is_sse_name(std::string_view("a\0b", 3)));
}

TEST(Sse, WritesACommentOverSeveralLines) {
  std::string out;
  append_comment(out, "ok");
  append_comment(out, "a\nb");
  EXPECT_EQ(out, ": ok\n\n: a\n: b\n\n");
}

TEST(Sse, WritesTheReconnectionTimeInMilliseconds) {
  std::string out;
  append_retry(out, std::chrono::seconds(3));
  EXPECT_EQ(out, "retry: 3000\n\n");
}

}  // namespace
}  // namespace tailgate
