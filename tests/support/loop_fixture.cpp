#include "tests/support/loop_fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace tailgate::testing {

LoopTest::LoopTest() {
  std::signal(SIGPIPE, SIG_IGN);  // as main.cc does
  std::string pattern = (std::filesystem::temp_directory_path() / "tailgate-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = pattern;
}

LoopTest::~LoopTest() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

bool LoopTest::run_until(const std::function<bool()>& done) {
  const TimePoint deadline = Loop::now() + std::chrono::seconds(5);
  bool good = done();
  Timer look(loop_, [&] {
    good = done();
    if (good || Loop::now() > deadline) {
      loop_.stop();
    } else {
      look.after(std::chrono::milliseconds(1));
    }
  });
  if (good) return true;
  look.after(std::chrono::milliseconds(0));
  loop_.run();
  return good;
}

void LoopTest::run_for(std::chrono::milliseconds time) {
  const TimePoint end = Loop::now() + time;
  run_until([end] { return Loop::now() >= end; });
}

void LoopTest::write_file(const std::string& name, std::string_view text) const {
  std::ofstream(path(name), std::ios::binary) << text;
}

RawServer::RawServer(const Loop& loop, const std::string& socket_path, std::string bytes)
    : answer(std::move(bytes)), loop_(loop) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_path.c_str(),
              std::min(socket_path.size() + 1, sizeof address.sun_path - 1));
  listen(reinterpret_cast<sockaddr*>(&address), sizeof address);
}

RawServer::RawServer(const Loop& loop, std::string bytes) : answer(std::move(bytes)), loop_(loop) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listen(reinterpret_cast<sockaddr*>(&address), sizeof address);
}

void RawServer::listen(const sockaddr* address, socklen_t size) {
  listener_.reset(
      evconnlistener_new_bind(loop_.base(), accept_cb, this, LEV_OPT_CLOSE_ON_FREE, 64, address, size));
  if (!listener_) throw std::runtime_error("RawServer cannot listen");
}

std::string RawServer::address() const {
  sockaddr_in bound{};
  socklen_t size = sizeof bound;
  getsockname(evconnlistener_get_fd(listener_.get()), reinterpret_cast<sockaddr*>(&bound), &size);
  return "127.0.0.1:" + std::to_string(ntohs(bound.sin_port));
}

void RawServer::accept_cb(evconnlistener* /*listener*/, evutil_socket_t fd, sockaddr* /*from*/, int /*size*/,
                          void* self) noexcept {
  auto* server = static_cast<RawServer*>(self);
  evutil_make_socket_nonblocking(fd);
  BuffereventHandle buffer(bufferevent_socket_new(server->loop_.base(), fd, BEV_OPT_CLOSE_ON_FREE));
  bufferevent_setcb(buffer.get(), read_cb, nullptr, event_cb, self);
  bufferevent_enable(buffer.get(), EV_READ | EV_WRITE);
  server->connections_.push_back(std::move(buffer));
}

void RawServer::read_cb(bufferevent* buffer, void* self) noexcept {
  auto* server = static_cast<RawServer*>(self);
  evbuffer* input = bufferevent_get_input(buffer);
  const std::size_t size = evbuffer_get_length(input);
  const std::string head(reinterpret_cast<const char*>(evbuffer_pullup(input, -1)), size);
  if (head.find("\r\n\r\n") == std::string::npos) return;
  evbuffer_drain(input, size);
  server->requests.push_back(head);
  if (server->silent) return;
  if (server->answer.empty()) {
    server->forget(buffer);
  } else {
    // Set only now: libevent calls written_cb at once if the output is empty.
    bufferevent_setcb(buffer, read_cb, written_cb, event_cb, self);
    bufferevent_write(buffer, server->answer.data(), server->answer.size());
  }
}

void RawServer::written_cb(bufferevent* buffer, void* self) noexcept {
  auto* server = static_cast<RawServer*>(self);
  if (server->closes && !server->silent) server->forget(buffer);
}

void RawServer::event_cb(bufferevent* buffer, short /*what*/, void* self) noexcept {
  static_cast<RawServer*>(self)->forget(buffer);
}

void RawServer::forget(bufferevent* buffer) {
  std::erase_if(connections_, [buffer](const BuffereventHandle& one) { return one.get() == buffer; });
}

}  // namespace tailgate::testing
