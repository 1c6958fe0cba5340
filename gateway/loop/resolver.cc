#include "gateway/loop/resolver.h"

#include <netdb.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

namespace tailgate {

namespace {

Result<Resolver::Addresses> ask(const std::string& host, int flags) {
  addrinfo hints{};
  hints.ai_flags = flags;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (error != 0) return Error{error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error)};
  const std::unique_ptr<addrinfo, Freed<freeaddrinfo>> found(list);
  Resolver::Addresses addresses;
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    (void)getnameinfo(each->ai_addr, each->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
    if (std::find(addresses.begin(), addresses.end(), text.data()) == addresses.end())
      addresses.emplace_back(text.data());
  }
  return addresses;
}

}  // namespace

// Each helper thread holds a reference, so Shared may outlive the Resolver.
struct Resolver::Shared {
  explicit Shared(Lookup look_up) : lookup(std::move(look_up)) {
    if (answers_fd < 0) std::abort();
  }
  ~Shared() { close(answers_fd); }

  const Lookup lookup;
  const int answers_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);  // readable while there are answers

  std::mutex mutex;                  // guards the members below
  std::set<std::string> unanswered;  // hosts in the queue or being looked up
  std::deque<std::string> queue;
  std::vector<std::pair<std::string, Result<Addresses>>> answers;
  int threads = 0;

  static void add(const std::shared_ptr<Shared>& shared, const std::string& host);
  void work();
  void answer(const std::string& host, Result<Addresses> addresses) {
    answers.emplace_back(host, std::move(addresses));
    (void)eventfd_write(answers_fd, 1);
  }
};

void Resolver::Shared::add(const std::shared_ptr<Shared>& shared, const std::string& host) {
  const std::lock_guard lock(shared->mutex);
  if (shared->unanswered.insert(host).second) shared->queue.push_back(host);
  if (shared->queue.empty() || shared->threads == kMostThreads) return;
  // The thread inherits a mask that blocks all signals: the loop's thread handles them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([shared] { shared->work(); }).detach();
    ++shared->threads;
  } catch (const std::system_error&) {
    // The system allows no more threads.  The query may fail at its deadline; the next query tries again.
  }
  (void)pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Resolver::Shared::work() {
  std::unique_lock lock(mutex);
  while (!queue.empty()) {
    const std::string host = std::move(queue.front());
    queue.pop_front();
    lock.unlock();
    Result<Addresses> addresses = lookup(host);
    lock.lock();
    unanswered.erase(host);
    answer(host, std::move(addresses));
  }
  --threads;
}

Resolver::Query::Query(Resolver& resolver, const std::string& host, Done done)
    : resolver_(resolver),
      host_(host),
      done_(std::move(done)),
      deadline_(event_new(resolver.loop_.base(), -1, 0, deadline_cb, this)) {
  resolver_.queries_.push_back(this);
  const timeval patience = as_timeval(resolver.patience_);
  if (!deadline_ || event_add(deadline_.get(), &patience) != 0) std::abort();
}

Resolver::Query::~Query() {
  std::erase(resolver_.queries_, this);
}

void Resolver::Query::deadline_cb(evutil_socket_t /*fd*/, short /*what*/, void* self) noexcept {
  auto* query = static_cast<Query*>(self);
  query->finish(Error{"no answer within " + std::to_string(query->resolver_.patience_.count()) + " ms"});
}

void Resolver::Query::finish(Result<Addresses> answer) {
  std::erase(resolver_.queries_, this);
  event_del(deadline_.get());
  const Done done = std::move(done_);
  done(std::move(answer));  // may destroy the query
}

Resolver::Resolver(const Loop& loop, Lookup lookup, std::chrono::milliseconds patience)
    : loop_(loop),
      patience_(patience),
      shared_(std::make_shared<Shared>(std::move(lookup))),
      answers_event_(event_new(loop.base(), shared_->answers_fd, EV_READ | EV_PERSIST, answers_cb, this)) {
  if (!answers_event_ || event_add(answers_event_.get(), nullptr) != 0) std::abort();
}

Resolver::~Resolver() {
  const std::lock_guard lock(shared_->mutex);
  shared_->queue.clear();
}

std::unique_ptr<Resolver::Query> Resolver::lookup(const std::string& host, Done done) {
  std::unique_ptr<Query> query(new Query(*this, host, std::move(done)));
  if (auto numeric = ask(host, AI_NUMERICHOST)) {
    const std::lock_guard lock(shared_->mutex);
    shared_->answer(host, std::move(numeric));
  } else {
    Shared::add(shared_, host);
  }
  return query;
}

Result<Resolver::Addresses> Resolver::ask_system(const std::string& host) {
  return ask(host, 0);
}

void Resolver::answers_cb(evutil_socket_t /*fd*/, short /*what*/, void* self) noexcept {
  static_cast<Resolver*>(self)->take_answers();
}

void Resolver::take_answers() {
  eventfd_t ignored = 0;
  (void)eventfd_read(shared_->answers_fd, &ignored);
  std::unique_lock lock(shared_->mutex);
  const auto answers = std::exchange(shared_->answers, {});
  lock.unlock();
  for (const auto& [host, addresses] : answers) {
    // Iterates over a copy, because each finish() may destroy queries and make new ones.
    for (Query* query : std::vector(queries_)) {
      const bool is_alive = std::find(queries_.begin(), queries_.end(), query) != queries_.end();
      if (is_alive && query->host_ == host) query->finish(addresses);
    }
  }
}

}  // namespace tailgate
