#include "gateway/loop/small_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "tests/support/loop_fixture.h"

namespace tailgate {
namespace {

class SmallFileTest : public testing::LoopTest {};

TEST_F(SmallFileTest, ReadsAFileUpToTheLimit) {
  for (const std::size_t size : {0U, 1U, 16383U, 16384U, 16385U, 50'000U}) {
    std::string text(size, 'x');
    if (size > 0) text.back() = '\0';
    write_file("key", text);
    const auto read = read_small_file(path("key"), size);
    ASSERT_TRUE(read) << size;
    EXPECT_TRUE(*read == text) << size;
  }
}

TEST_F(SmallFileTest, RefusesALargerFileAndNamesTheLimit) {
  for (const std::size_t size : {1U, 16384U, 50'000U}) {
    write_file("key", std::string(size, 'x'));
    const auto read = read_small_file(path("key"), size - 1);
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error(), path("key") + ": is larger than " + std::to_string(size - 1) + " bytes");
  }
}

TEST_F(SmallFileTest, RefusesAMissingFileAFolderAndAFifo) {
  EXPECT_EQ(read_small_file(path("none"), 10).error(), path("none") + ": No such file or directory");
  EXPECT_EQ(read_small_file(path("."), 10).error(), path(".") + ": is not a regular file");
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_small_file(path("fifo"), 10).error(), path("fifo") + ": is not a regular file");
}

}  // namespace
}  // namespace tailgate
