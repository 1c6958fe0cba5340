#include "gateway/loop/resolver.h"

#include <arpa/inet.h>
#include <event2/util.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <utility>

namespace tailgate {

// Frees itself when it delivers.  evdns answers exactly once, cancelled or not, now and then from inside
// the question: so the answer is always delivered by an event of its own.
struct Resolver::Query::State {
  std::function<void(Result<Addresses>)> done;  // empty once the Query is gone
  Query* query = nullptr;                       // null once the Query is gone
  Book* book = nullptr;                         // null: none was asked
  evdns_getaddrinfo_request* request = nullptr;
  EventHandle soon;
  std::optional<Result<Addresses>> answer;

  void deliver() {
    if (query != nullptr) query->state_ = nullptr;
    if (book != nullptr) --book->pending;
    auto call = std::move(done);
    auto what = std::move(*answer);
    delete this;
    if (call) call(std::move(what));
  }
};

namespace {

constexpr std::chrono::seconds kBookLingers{60};

std::string numeric(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* in = address->sa_family == AF_INET
                       ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr)
                       : static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
  (void)inet_ntop(address->sa_family, in, text.data(), text.size());
  return text.data();
}

bool is_numeric(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> out{};
  return inet_pton(AF_INET, host.c_str(), out.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), out.data()) == 1;
}

void soon_cb(evutil_socket_t /*fd*/, short /*what*/, void* state) noexcept {
  static_cast<Resolver::Query::State*>(state)->deliver();
}

void answered_cb(int error, evutil_addrinfo* found, void* arg) noexcept {
  auto* state = static_cast<Resolver::Query::State*>(arg);
  state->request = nullptr;
  if (error != 0 || found == nullptr) {
    state->answer = Error{error != 0 ? evutil_gai_strerror(error) : "no address"};
  } else {
    Resolver::Addresses addresses;
    for (const evutil_addrinfo* each = found; each != nullptr; each = each->ai_next) {
      std::string address = numeric(each->ai_addr);
      if (std::find(addresses.begin(), addresses.end(), address) == addresses.end())
        addresses.push_back(std::move(address));
    }
    state->answer = std::move(addresses);
  }
  if (found != nullptr) evutil_freeaddrinfo(found);
  event_active(state->soon.get(), EV_TIMEOUT, 0);
}

}  // namespace

bool Resolver::Look::operator==(const Look& other) const {
  return inode == other.inode && size == other.size && changed.tv_sec == other.changed.tv_sec &&
         changed.tv_nsec == other.changed.tv_nsec;
}

Resolver::Look Resolver::look_at(const std::string& path) {
  struct stat about {};
  if (stat(path.c_str(), &about) != 0) return {};
  return {.inode = about.st_ino, .size = about.st_size, .changed = about.st_mtim};
}

Resolver::Resolver(const Loop& loop, Files files) : loop_(loop), files_(std::move(files)) {
  read_files();
}

Resolver::~Resolver() = default;

// evdns can forget neither hosts nor, with questions under way, servers: so a changed file makes a new one.
void Resolver::read_files() {
  const Look resolv_conf = look_at(files_.resolv_conf);
  const Look hosts = look_at(files_.hosts);
  if (book_ != nullptr && resolv_conf == resolv_conf_ && hosts == hosts_) return;
  resolv_conf_ = resolv_conf;
  hosts_ = hosts;
  if (book_ != nullptr) {
    book_->retired = Loop::now();
    retired_.push_back(std::move(book_));
  }
  book_ = std::make_unique<Book>();
  book_->dns.reset(evdns_base_new(loop_.base(), 0));
  if (!book_->dns) std::abort();  // out of memory
  // Without a name server in it (or without the file) evdns asks 127.0.0.1.
  (void)evdns_base_resolv_conf_parse(book_->dns.get(), DNS_OPTIONS_ALL & ~DNS_OPTION_HOSTSFILE,
                                     files_.resolv_conf.c_str());
  (void)evdns_base_load_hosts(book_->dns.get(), files_.hosts.c_str());
}

void Resolver::bury_books() {
  std::erase_if(retired_, [now = Loop::now()](const std::unique_ptr<Book>& book) {
    return book->pending == 0 && now - book->retired >= kBookLingers;
  });
}

Resolver::Query::~Query() {
  if (state_ == nullptr) return;
  state_->query = nullptr;
  state_->done = nullptr;
  if (state_->request != nullptr) evdns_getaddrinfo_cancel(state_->request);
}

std::unique_ptr<Resolver::Query> Resolver::lookup(const std::string& host,
                                                  std::function<void(Result<Addresses>)> done) {
  auto* state = new Query::State;
  std::unique_ptr<Query> query(new Query(state));
  state->done = std::move(done);
  state->query = query.get();
  state->soon.reset(event_new(loop_.base(), -1, 0, soon_cb, state));
  if (is_numeric(host)) {
    state->answer = Addresses{host};
    event_active(state->soon.get(), EV_TIMEOUT, 0);
    return query;
  }
  read_files();
  bury_books();
  state->book = book_.get();
  ++book_->pending;
  evutil_addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_protocol = IPPROTO_TCP;
  state->request = evdns_getaddrinfo(book_->dns.get(), host.c_str(), nullptr, &hints, answered_cb, state);
  return query;
}

}  // namespace tailgate
