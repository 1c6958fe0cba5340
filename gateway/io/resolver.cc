#include "gateway/io/resolver.h"

#include <arpa/inet.h>
#include <event2/util.h>
#include <netinet/in.h>

#include <array>
#include <optional>
#include <utility>

namespace tailgate {

// Frees itself when it delivers.  evdns answers exactly once, cancelled or not, now and then from inside
// the question: so the answer is always delivered by an event of its own.
struct Resolver::Query::State {
  std::function<void(Result<std::string>)> done;  // empty once the Query is gone
  Query* query = nullptr;                         // null once the Query is gone
  evdns_getaddrinfo_request* request = nullptr;
  EventHandle soon;
  std::optional<Result<std::string>> answer;

  void deliver() {
    if (query != nullptr) query->state_ = nullptr;
    auto call = std::move(done);
    auto what = std::move(*answer);
    delete this;
    if (call) call(std::move(what));
  }
};

namespace {

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
    state->answer = numeric(found->ai_addr);
  }
  if (found != nullptr) evutil_freeaddrinfo(found);
  event_active(state->soon.get(), EV_TIMEOUT, 0);
}

}  // namespace

Resolver::Resolver(const Loop& loop) : loop_(loop), dns_(evdns_base_new(loop.base(), 0)) {
  if (dns_) (void)evdns_base_resolv_conf_parse(dns_.get(), DNS_OPTIONS_ALL, "/etc/resolv.conf");
}

Resolver::Query::~Query() {
  if (state_ == nullptr) return;
  state_->query = nullptr;
  state_->done = nullptr;
  if (state_->request != nullptr) evdns_getaddrinfo_cancel(state_->request);
}

std::unique_ptr<Resolver::Query> Resolver::lookup(const std::string& host,
                                                  std::function<void(Result<std::string>)> done) {
  auto* state = new Query::State;
  std::unique_ptr<Query> query(new Query(state));
  state->done = std::move(done);
  state->query = query.get();
  state->soon.reset(event_new(loop_.base(), -1, 0, soon_cb, state));
  if (is_numeric(host)) {
    state->answer = host;
    event_active(state->soon.get(), EV_TIMEOUT, 0);
    return query;
  }
  evutil_addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_protocol = IPPROTO_TCP;
  state->request = evdns_getaddrinfo(dns_.get(), host.c_str(), nullptr, &hints, answered_cb, state);
  return query;
}

}  // namespace tailgate
