#include "tests/support/http_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace tailgate::testing {

RawClient::RawClient(const std::string& path)
    : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
}

RawClient::RawClient(RawClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {
}

RawClient::~RawClient() {
  if (fd_ >= 0) close(fd_);
}

std::size_t RawClient::send(std::string_view bytes) {
  const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

void RawClient::half_close() const {
  (void)shutdown(fd_, SHUT_WR);
}

const std::string& RawClient::received() {
  std::array<char, 65536> bytes{};
  ssize_t length = 0;
  while ((length = recv(fd_, bytes.data(), bytes.size(), 0)) > 0)
    received_.append(bytes.data(), static_cast<std::size_t>(length));
  closed_ = closed_ || length == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  return received_;
}

bool RawClient::closed() {
  (void)received();
  return closed_;
}

void HttpTest::serve(const HttpTimes& times) {
  server_.reset();
  auto socket = listen_unix({.path = path("server.sock"), .mode = 0600, .group = {}});
  ASSERT_TRUE(socket) << socket.error();
  server_ = std::make_unique<HttpServer>(
      loop_, std::move(*socket),
      [this](std::unique_ptr<Exchange> exchange) {
        targets_.emplace_back(std::string(exchange->method()) + ' ' + std::string(exchange->target()));
        if (keep_) {
          exchange->watch(*this);
          kept_.push_back(std::move(exchange));
        } else {
          exchange->answer(200, {}, body_);
        }
      },
      DescriptorShare::kServed, times);
  server_->start();
}

std::string HttpTest::get(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n";
}

RawClient HttpTest::client_with_kept_exchange(const std::string& request) {
  keep_ = true;
  const std::size_t before = kept_.size();
  RawClient made = client();
  made.send(request);
  EXPECT_TRUE(run_until([&] { return kept_.size() == before + 1; }));
  return made;
}

bool HttpTest::run_until_received(RawClient& client, std::string_view text) {
  return run_until([&] { return client.received().find(text) != std::string::npos; });
}

}  // namespace tailgate::testing
