#include "gateway/http/socket.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "tests/support/loop_fixture.h"

namespace tailgate {
namespace {

class SocketTest : public testing::LoopTest {
 protected:
  Result<Socket> listen(std::uint32_t mode = 0600, const std::string& group = {}) const {
    return listen_unix({.path = path("socket"), .mode = mode, .group = group});
  }
};

TEST_F(SocketTest, HasTheModeOfItsRule) {
  const auto socket = listen(0640);
  ASSERT_TRUE(socket) << socket.error();
  struct stat about {};
  ASSERT_EQ(stat(path("socket").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0640U);
}

TEST_F(SocketTest, RemovesItsFileWhenItIsClosed) {
  {
    auto socket = listen();
    ASSERT_TRUE(socket) << socket.error();
    const Socket moved = std::move(*socket);
    EXPECT_TRUE(std::filesystem::exists(path("socket")));
  }
  EXPECT_FALSE(std::filesystem::exists(path("socket")));
}

TEST_F(SocketTest, LeavesAFileThatHasTakenItsPlace) {
  {
    const auto socket = listen();
    ASSERT_TRUE(socket);
    std::filesystem::remove(path("socket"));
    write_file("socket", "another");
  }
  EXPECT_TRUE(std::filesystem::exists(path("socket")));
}

TEST_F(SocketTest, ReplacesASocketFileOnWhichNobodyListens) {
  {
    const auto socket = listen();
    ASSERT_TRUE(socket) << socket.error();
    std::filesystem::rename(path("socket"), path("left"));  // the file stays, as after a crash
  }
  std::filesystem::rename(path("left"), path("socket"));
  const auto socket = listen();
  EXPECT_TRUE(socket) << socket.error();
}

TEST_F(SocketTest, RefusesAPathThatIsInUseOrNoSocket) {
  {
    const auto first = listen();
    ASSERT_TRUE(first);
    const auto second = listen();
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error(), path("socket") + ": another process listens there");
  }
  write_file("socket", "a file");
  const auto socket = listen();
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error(), path("socket") + ": is there already and is not a socket");
}

TEST_F(SocketTest, NamesTheFaultOfAnInvalidRule) {
  EXPECT_EQ(listen(0600, "no-such-group").error(), path("socket") + ": there is no group no-such-group");
  EXPECT_FALSE(listen_unix({.path = std::string(200, 'x'), .mode = 0600, .group = {}}));
  EXPECT_EQ(listen_tcp("localhost", 0).error(), "localhost port 0: is not a numeric address");
  EXPECT_TRUE(listen_tcp("127.0.0.1", 0));
}

TEST_F(SocketTest, DoesNotTakeItsOwnProcessForAnother) {
  const auto socket = listen();
  ASSERT_TRUE(socket) << socket.error();
  EXPECT_FALSE(socket->is_accepted_by_another_process());
  socket->say_accepting(true);
  EXPECT_FALSE(socket->is_accepted_by_another_process());
  EXPECT_FALSE(socket->has_waiting_connection());
}

}  // namespace
}  // namespace tailgate
