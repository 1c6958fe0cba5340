#include "tests/support/lagging_proxy.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace tailgate::testing {

namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long for a socket: " + path);
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

// The length of the RESP2 value at the beginning of `bytes`; 0 if it is incomplete.
std::size_t value_length(std::string_view bytes) {
  const std::size_t line_end = bytes.find("\r\n");
  if (line_end == std::string_view::npos) return 0;
  std::size_t length = line_end + 2;
  const char type = bytes[0];
  if (type != '$' && type != '*') return length;
  const long count = std::stol(std::string(bytes.substr(1, line_end - 1)));
  if (count < 0) return length;
  if (type == '$') {
    length += static_cast<std::size_t>(count) + 2;
    return length <= bytes.size() ? length : 0;
  }
  for (long i = 0; i < count; ++i) {
    const std::size_t element = value_length(bytes.substr(length));
    if (element == 0) return 0;
    length += element;
  }
  return length;
}

}  // namespace

struct LaggingProxy::Connection {
  struct Piece {
    TimePoint due;
    std::string bytes;
  };

  Direction direction_from(const bufferevent* buffer) const {
    return buffer == client.get() ? kToServer : kToClient;
  }
  bufferevent* target(Direction direction) const {
    return direction == kToServer ? server.get() : client.get();
  }

  void pump(Direction direction, TimePoint now) {
    auto& queue = pieces[direction];
    while (!queue.empty() && !proxy.rules_[direction].holding && queue.front().due <= now) {
      bufferevent_write(target(direction), queue.front().bytes.data(), queue.front().bytes.size());
      queue.pop_front();
    }
  }

  // True if one side has closed and the other side has got all of its bytes.
  bool is_over() const {
    for (const Direction direction : {kToServer, kToClient}) {
      if (ended[direction] && pieces[direction].empty() && !proxy.rules_[direction].holding &&
          evbuffer_get_length(bufferevent_get_output(target(direction))) == 0) {
        return true;
      }
    }
    return false;
  }

  LaggingProxy& proxy;
  BuffereventHandle client;
  BuffereventHandle server;
  std::array<std::deque<Piece>, 2> pieces{};  // by direction: read and not passed on
  std::array<bool, 2> ended{};                // by direction: the sender has closed
};

LaggingProxy::LaggingProxy(const Loop& loop, std::string path, std::string server_path)
    : loop_(loop),
      path_(std::move(path)),
      server_path_(std::move(server_path)),
      lag_timer_(loop, [this] { pump_all(); }) {
  accept();
}

LaggingProxy::~LaggingProxy() = default;

void LaggingProxy::hold(Direction direction) {
  rules_[direction].holding = true;
}

bool LaggingProxy::release_one(Direction direction) {
  for (const auto& connection : connections_) {
    auto& queue = connection->pieces[direction];
    std::string bytes;
    for (const auto& piece : queue) bytes += piece.bytes;
    const std::size_t length = value_length(bytes);
    if (length == 0) continue;
    bufferevent_write(connection->target(direction), bytes.data(), length);
    const TimePoint due = queue.front().due;
    queue.clear();
    if (length < bytes.size()) queue.push_back({due, bytes.substr(length)});
    return true;
  }
  return false;
}

void LaggingProxy::release(Direction direction) {
  rules_[direction].holding = false;
  pump_all();
}

std::string LaggingProxy::held(Direction direction) const {
  std::string bytes;
  for (const auto& connection : connections_) {
    for (const auto& piece : connection->pieces[direction]) bytes += piece.bytes;
  }
  return bytes;
}

void LaggingProxy::set_lag(Direction direction, std::chrono::milliseconds lag) {
  rules_[direction].lag = lag;
}

void LaggingProxy::cut() {
  connections_.clear();
}

void LaggingProxy::replace_server_connections() {
  sockaddr_un address = address_of(server_path_);
  for (const auto& connection : connections_) {
    connection->server.reset(bufferevent_socket_new(loop_.base(), -1, BEV_OPT_CLOSE_ON_FREE));
    bufferevent* server = connection->server.get();
    bufferevent_setcb(server, read_cb, written_cb, event_cb, connection.get());
    bufferevent_enable(server, EV_READ | EV_WRITE);
    bufferevent_socket_connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
}

void LaggingProxy::refuse() {
  listener_.reset();
}

void LaggingProxy::accept() {
  if (listener_) return;
  unlink(path_.c_str());
  sockaddr_un address = address_of(path_);
  listener_.reset(evconnlistener_new_bind(loop_.base(), accept_cb, this, LEV_OPT_CLOSE_ON_FREE, 64,
                                          reinterpret_cast<sockaddr*>(&address), sizeof address));
  if (!listener_) throw std::runtime_error("cannot listen on " + path_);
}

void LaggingProxy::accept_cb(evconnlistener* /*listener*/, evutil_socket_t fd, sockaddr* /*from*/,
                             int /*size*/, void* self) noexcept {
  auto* proxy = static_cast<LaggingProxy*>(self);
  ++proxy->accepted_;
  event_base* base = proxy->loop_.base();
  evutil_make_socket_nonblocking(fd);
  auto connection = std::make_unique<Connection>(
      Connection{.proxy = *proxy,
                 .client = BuffereventHandle(bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE)),
                 .server = BuffereventHandle(bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE))});
  for (bufferevent* buffer : {connection->client.get(), connection->server.get()}) {
    bufferevent_setcb(buffer, read_cb, written_cb, event_cb, connection.get());
    bufferevent_enable(buffer, EV_READ | EV_WRITE);
  }
  bufferevent* server = connection->server.get();
  proxy->connections_.push_back(std::move(connection));
  sockaddr_un address = address_of(proxy->server_path_);
  if (bufferevent_socket_connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    std::erase_if(proxy->connections_, [&](const auto& one) { return one->server.get() == server; });
  }
}

void LaggingProxy::read_cb(bufferevent* buffer, void* connection) noexcept {
  auto* owner = static_cast<Connection*>(connection);
  const Direction direction = owner->direction_from(buffer);
  evbuffer* input = bufferevent_get_input(buffer);
  std::string bytes(evbuffer_get_length(input), '\0');
  evbuffer_remove(input, bytes.data(), bytes.size());
  owner->pieces[direction].push_back({Loop::now() + owner->proxy.rules_[direction].lag, std::move(bytes)});
  owner->proxy.pump_all();
}

void LaggingProxy::written_cb(bufferevent* /*buffer*/, void* connection) noexcept {
  static_cast<Connection*>(connection)->proxy.pump_all();
}

void LaggingProxy::event_cb(bufferevent* buffer, short what, void* connection) noexcept {
  if ((what & BEV_EVENT_CONNECTED) != 0) return;
  auto* owner = static_cast<Connection*>(connection);
  owner->ended[owner->direction_from(buffer)] = true;
  owner->proxy.pump_all();
}

void LaggingProxy::pump_all() {
  const TimePoint now = Loop::now();
  TimePoint next = TimePoint::max();
  for (const auto& connection : connections_) {
    for (const Direction direction : {kToServer, kToClient}) {
      connection->pump(direction, now);
      const auto& queue = connection->pieces[direction];
      if (!queue.empty() && !rules_[direction].holding) next = std::min(next, queue.front().due);
    }
  }
  std::erase_if(connections_, [](const auto& connection) { return connection->is_over(); });
  if (next != TimePoint::max()) {
    lag_timer_.after(std::chrono::ceil<std::chrono::microseconds>(next - now));
  }
}

}  // namespace tailgate::testing
