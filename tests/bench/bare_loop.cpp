// The upper bound for any server: an SSE broadcaster with the least possible work.
//
//   bare_loop --listen ADDRESS --redis ADDRESS [--join] [--heartbeat-ms N]
//
// GET /bench/<name> follows the channel bench:<name>.  It has one thread and one epoll.  Each delivery is one
// send(2); with --join, all messages of a channel from one read of Redis are one send(2).  It has no
// authentication, no limits and no deadlines, so its cost is the cost of the system calls.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/bench/address.h"
#include "tests/bench/resp.h"

namespace tailgate::bench {
namespace {

constexpr std::string_view kHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache, no-transform\r\n"
    "X-Accel-Buffering: no\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nretry: "
    "3000\n\n\r\n";
constexpr std::string_view kHeartbeat = "d\r\n: heartbeat\n\n\r\n";

struct Channel;

struct Client {
  int fd = -1;
  std::uint32_t index = 0;  // in its channel's list
  Channel* channel = nullptr;
  std::unique_ptr<std::string> request;  // null once it is complete
  std::unique_ptr<std::string> waiting;  // bytes that the kernel has not accepted
};

struct Channel {
  bool confirmed = false;
  std::vector<Client*> clients;
  std::string joined;  // --join: the frames of this turn
};

std::int64_t now_ms() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}

void append_chunk(std::string& out, std::string_view payload) {
  std::array<char, 20> head{};
  const int length = std::snprintf(head.data(), head.size(), "%zx\r\n", payload.size() + 8);
  out.append(head.data(), static_cast<std::size_t>(length))
      .append("data: ")
      .append(payload)
      .append("\n\n\r\n");
}

class BareLoop {
 public:
  BareLoop(const Address& listen, const Address& redis, bool join, std::int64_t heartbeat_ms)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)),
        listener_(listen.listen()),
        redis_(redis.connect(0)),
        join_(join),
        heartbeat_ms_(heartbeat_ms) {
    watch(EPOLL_CTL_ADD, listener_, EPOLLIN, &listener_);
    fcntl(redis_, F_SETFL, 0);
    watch(EPOLL_CTL_ADD, redis_, EPOLLIN, &redis_);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 512> events{};
    while (true) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), beat());
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (event.data.ptr == &listener_) {
          accept_all();
        } else if (event.data.ptr == &redis_) {
          read_redis();
        } else {
          serve(static_cast<Client*>(event.data.ptr), event.events);
        }
      }
      for (Client* client : gone_) delete client;
      gone_.clear();
    }
  }

 private:
  void watch(int operation, int fd, std::uint32_t what, void* whom) const {
    epoll_event event{};
    event.events = what;
    event.data.ptr = whom;
    if (epoll_ctl(epoll_, operation, fd, &event) != 0) die_of_errno("epoll_ctl");
  }

  void accept_all() {
    while (true) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      auto* client = new Client{.fd = fd, .request = std::make_unique<std::string>(), .waiting = {}};
      watch(EPOLL_CTL_ADD, fd, EPOLLIN, client);
    }
  }

  void serve(Client* client, std::uint32_t what) {
    if (client->fd < 0) return;
    if ((what & EPOLLOUT) != 0 && client->waiting) {
      const std::unique_ptr<std::string> rest = std::move(client->waiting);
      write(client, *rest);
      if (!client->waiting) watch(EPOLL_CTL_MOD, client->fd, EPOLLIN, client);
    }
    if ((what & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
    std::array<char, 4096> bytes;
    const ssize_t length = recv(client->fd, bytes.data(), bytes.size(), 0);
    if (length < 0 && errno == EAGAIN) return;
    if (length <= 0) {
      leave(client);
    } else if (client->request) {
      client->request->append(bytes.data(), static_cast<std::size_t>(length));
      if (client->request->find("\r\n\r\n") != std::string::npos) follow(client);
    }
  }

  void follow(Client* client) {
    const std::string_view request = *client->request;
    const auto begin = request.find("/bench/") + 7;
    const std::string name = "bench:" + std::string(request.substr(begin, request.find(' ', begin) - begin));
    client->request.reset();
    auto [slot, is_new] = channels_.try_emplace(name);
    Channel& channel = slot->second;
    client->channel = &channel;
    client->index = static_cast<std::uint32_t>(channel.clients.size());
    channel.clients.push_back(client);
    if (channel.confirmed) welcome(client);
    if (!is_new) return;
    std::string command;
    append_command(command, {"SUBSCRIBE", name});
    if (send(redis_, command.data(), command.size(), MSG_NOSIGNAL) < 0) die_of_errno("redis");
  }

  void welcome(Client* client) {
    write(client, kHead);
    if (heartbeat_ms_ > 0 && client->fd >= 0) due_.emplace_back(now_ms() + heartbeat_ms_, client);
  }

  void leave(Client* client) {
    if (client->channel != nullptr) {
      std::vector<Client*>& clients = client->channel->clients;
      clients.back()->index = client->index;
      clients[client->index] = clients.back();
      clients.pop_back();
    }
    if (heartbeat_ms_ > 0)
      std::erase_if(due_, [client](const auto& entry) { return entry.second == client; });
    close(client->fd);
    client->fd = -1;
    gone_.push_back(client);
  }

  void write(Client* client, std::string_view bytes) const {
    if (client->waiting) {
      client->waiting->append(bytes);
      return;
    }
    const ssize_t taken = send(client->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken == static_cast<ssize_t>(bytes.size())) return;
    if (taken < 0 && errno != EAGAIN) return;  // reading reports the loss, too
    bytes.remove_prefix(taken < 0 ? 0 : static_cast<std::size_t>(taken));
    client->waiting = std::make_unique<std::string>(bytes);
    watch(EPOLL_CTL_MOD, client->fd, EPOLLIN | EPOLLOUT, client);
  }

  void read_redis() {
    std::array<char, 1 << 16> bytes;
    const ssize_t length = recv(redis_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (length <= 0) die("redis is gone");
    from_redis_.append(bytes.data(), static_cast<std::size_t>(length));
    std::string_view rest = from_redis_;
    std::size_t used = 0;
    while (!rest.empty() && ReplyParser::parse(rest, reply_, used)) {
      take(reply_);
      rest.remove_prefix(used);
    }
    from_redis_.erase(0, from_redis_.size() - rest.size());
    for (Channel* channel : dirty_) {
      for (Client* client : channel->clients) write(client, channel->joined);
      channel->joined.clear();
    }
    dirty_.clear();
  }

  void take(const RedisReply& reply) {
    if (reply.texts.size() != 3) return;
    const auto found = channels_.find(std::string(reply.texts[1]));
    if (found == channels_.end()) return;
    Channel& channel = found->second;
    if (reply.texts[0] == "subscribe") {
      channel.confirmed = true;
      for (Client* client : channel.clients) welcome(client);
    } else if (reply.texts[0] == "message") {
      if (join_) {
        if (channel.joined.empty()) dirty_.push_back(&channel);
        append_chunk(channel.joined, reply.texts[2]);
      } else {
        frame_.clear();
        append_chunk(frame_, reply.texts[2]);
        for (Client* client : channel.clients) write(client, frame_);
      }
    }
  }

  // Sends the heartbeats that are due.  Returns the milliseconds until the next one; -1 if there is none.
  int beat() {
    if (heartbeat_ms_ == 0 || due_.empty()) return -1;
    const std::int64_t now = now_ms();
    while (!due_.empty() && due_.front().first <= now) {
      Client* client = due_.front().second;
      due_.pop_front();
      write(client, kHeartbeat);
      due_.emplace_back(now + heartbeat_ms_, client);
    }
    // At least 10 ms, so that heartbeats are sent in batches.
    return static_cast<int>(std::max<std::int64_t>(due_.front().first - now, 10));
  }

  int epoll_;
  int listener_;
  int redis_;
  bool join_;
  std::int64_t heartbeat_ms_;
  std::unordered_map<std::string, Channel> channels_;
  std::vector<Channel*> dirty_;
  std::vector<Client*> gone_;  // deleted at the end of the turn
  std::deque<std::pair<std::int64_t, Client*>> due_;
  std::string from_redis_;
  std::string frame_;
  RedisReply reply_;
};

int run(int count, char** words) {
  std::string listen;
  std::string redis;
  bool join = false;
  std::int64_t heartbeat_ms = 0;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    const auto value = [&] { return i + 1 < count ? words[++i] : (die("a value is missing"), nullptr); };
    if (word == "--listen") {
      listen = value();
    } else if (word == "--redis") {
      redis = value();
    } else if (word == "--join") {
      join = true;
    } else if (word == "--heartbeat-ms") {
      heartbeat_ms = static_cast<std::int64_t>(number(value()));
    } else {
      die("unknown option " + std::string(word));
    }
  }
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  BareLoop(Address(listen), Address(redis), join, heartbeat_ms).run();
}

}  // namespace
}  // namespace tailgate::bench

int main(int count, char** words) {
  return tailgate::bench::run(count, words);
}
