#include "tests/support/http_client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace tailgate::testing {

HttpClient::HttpClient(const std::string& socket_path, std::string_view target, const HttpHeaders& headers,
                       std::string_view method)
    : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot connect to " + socket_path);
  std::string head = std::string(method) + ' ' + std::string(target) + " HTTP/1.1\r\nHost: test\r\n";
  for (const auto& [name, value] : headers) head += name + ": " + value + "\r\n";
  head += "\r\n";
  if (::send(fd_, head.data(), head.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(head.size()))
    throw std::runtime_error("cannot send to " + socket_path);
}

HttpClient::HttpClient(HttpClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), raw_(std::move(other.raw_)), closed_(other.closed_) {
}

HttpClient::~HttpClient() {
  leave();
}

void HttpClient::leave() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

const std::string& HttpClient::raw() {
  std::array<char, 65536> bytes{};
  ssize_t length = 0;
  while ((length = recv(fd_, bytes.data(), bytes.size(), 0)) > 0)
    raw_.append(bytes.data(), static_cast<std::size_t>(length));
  closed_ = closed_ || length == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  return raw_;
}

bool HttpClient::closed() {
  (void)raw();
  return closed_;
}

int HttpClient::status() {
  if (raw().find("\r\n\r\n") == std::string::npos) return 0;
  return std::atoi(raw_.c_str() + raw_.find(' '));
}

std::string HttpClient::events() {
  std::string events;
  std::size_t at = raw().find("\r\n\r\n");
  if (at == std::string::npos) return events;
  at += 4;
  while (at < raw_.size()) {
    const std::size_t line_end = raw_.find("\r\n", at);
    if (line_end == std::string::npos) break;
    const std::size_t length = std::strtoul(raw_.c_str() + at, nullptr, 16);
    events += raw_.substr(line_end + 2, length);
    at = line_end + 2 + length + 2;
  }
  return events;
}

bool HttpClient::ended_cleanly() {
  return closed() && raw_.ends_with("\r\n0\r\n\r\n");
}

}  // namespace tailgate::testing
