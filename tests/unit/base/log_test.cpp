#include "gateway/base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "gateway/text/text.h"

namespace tailgate {
namespace {

// Redirects standard error into a pipe until it is destroyed.
class PipeForErrors {
 public:
  PipeForErrors() {
    EXPECT_EQ(pipe2(ends_.data(), O_CLOEXEC), 0);
    before_ = dup(STDERR_FILENO);
    EXPECT_EQ(dup2(ends_[1], STDERR_FILENO), STDERR_FILENO);
  }
  PipeForErrors(const PipeForErrors&) = delete;
  ~PipeForErrors() {
    dup2(before_, STDERR_FILENO);
    for (const int fd : {ends_[0], ends_[1], before_}) close(fd);
  }

  void fill() const {
    const int flags = fcntl(ends_[1], F_GETFL);
    fcntl(ends_[1], F_SETFL, flags | O_NONBLOCK);
    const std::string page(4096, '.');
    while (write(ends_[1], page.data(), page.size()) > 0) continue;
    fcntl(ends_[1], F_SETFL, flags);
  }
  std::string take() const {
    fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    std::string got;
    std::array<char, 4096> bytes{};
    ssize_t length = 0;
    while ((length = read(ends_[0], bytes.data(), bytes.size())) > 0)
      got.append(bytes.data(), static_cast<std::size_t>(length));
    return got;
  }

 private:
  std::array<int, 2> ends_{};
  int before_ = -1;
};

TEST(Log, WritesOneJsonObjectALine) {
  const PipeForErrors pipe;
  log_warning("some.event", {{"text", "a \"b\"\n\x01"}, {"number", 5}, {"truth", true}});
  const std::string line = pipe.take();
  EXPECT_TRUE(
      line.ends_with("\"level\":\"warning\",\"event\":\"some.event\",\"text\":\"a "
                     "\\\"b\\\"\\n\\u0001\",\"number\":5,\"truth\":true}\n"))
      << line;
}

TEST(Log, WritesOneLineOfValidJsonForAnyText) {
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  const PipeForErrors pipe;
  log_info("some.event", {{"text", every}, {"name", "J\xC3\xBCrgen"}});
  const std::string line = pipe.take();
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["text"], to_utf8(every));
  EXPECT_EQ(json["name"], "J\xC3\xBCrgen");
  EXPECT_TRUE(std::regex_match(json["time"].get<std::string>(),
                               std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
}

TEST(Log, CutsALongTextBetweenTwoCharacters) {
  std::string text(511, 'a');
  for (int i = 0; i < 1000; ++i) text += "\xC3\xA4";
  const PipeForErrors pipe;
  log_info("some.event", {{"text", text}, {"fits", std::string(512, 'b')}});
  const auto json = nlohmann::json::parse(pipe.take());
  EXPECT_EQ(json["text"], std::string(511, 'a') + "...");
  EXPECT_EQ(json["fits"], std::string(512, 'b'));
}

TEST(Log, DropsAndCountsLinesWhileNobodyReads) {
  const PipeForErrors pipe;
  pipe.fill();
  alarm(5);  // kills the test if log_info() blocks on the full pipe
  for (int i = 0; i < 3; ++i) log_info("some.event");
  alarm(0);
  EXPECT_EQ(pipe.take().find("some.event"), std::string::npos);
  log_info("first.event");
  const std::string lines = pipe.take();
  EXPECT_NE(lines.find("\"level\":\"warning\",\"event\":\"log.lost\",\"lines\":3}\n"), std::string::npos)
      << lines;
  EXPECT_NE(lines.find("\"event\":\"first.event\"}\n"), std::string::npos) << lines;
  log_info("second.event");
  EXPECT_EQ(pipe.take().find("log.lost"), std::string::npos);
}

TEST(LogValve, AllowsABurstAndCountsTheLinesHeldBack) {
  LogValve valve(3, 1);
  std::chrono::steady_clock::time_point now{std::chrono::hours(1)};
  int through = 0;
  for (int i = 0; i < 10; ++i) through += valve.open(now) ? 1 : 0;
  EXPECT_EQ(through, 3);
  EXPECT_EQ(valve.take_held_back(), 7U);
  EXPECT_EQ(valve.take_held_back(), 0U);
  now += std::chrono::seconds(2);
  EXPECT_TRUE(valve.open(now));
  EXPECT_TRUE(valve.open(now));
  EXPECT_FALSE(valve.open(now));
}

}  // namespace
}  // namespace tailgate
