#include "gateway/base/endpoint.h"

#include <gtest/gtest.h>

namespace tailgate {
namespace {

TEST(Endpoint, IsAUnixSocketOrAHostWithAPort) {
  EXPECT_EQ(parse_endpoint("unix:/a/b.sock")->unix_path, "/a/b.sock");
  EXPECT_EQ(parse_endpoint("localhost:80")->host, "localhost");
  EXPECT_EQ(parse_endpoint("[::1]:8080")->host, "::1");
  EXPECT_EQ(parse_endpoint("[::1]:8080")->port, 8080);
  for (const char* text : {"", "unix:", "unix:a", "a", ":1", "a:", "a:0", "a:65536", "a:1x", "::1:80",
                           "[::1]", "[::1", "[::1]80", "[]:1", "a b:1", "a/b:1", "a:1:2", "a:-1", "a:+1"}) {
    EXPECT_FALSE(parse_endpoint(text)) << text;
  }
}

}  // namespace
}  // namespace tailgate
