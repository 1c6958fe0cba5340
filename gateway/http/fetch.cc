#include "gateway/http/fetch.h"

#include <event2/util.h>

#include <cstring>
#include <utility>

#include "gateway/http/socket.h"

namespace tailgate {

namespace {

std::string last_socket_error() {
  return evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR());
}

}  // namespace

HttpFetch::HttpFetch(const Loop& loop, Resolver& resolver, HttpQuestion question, Done done)
    : loop_(loop),
      resolver_(resolver),
      question_(std::move(question)),
      done_(std::move(done)),
      reader_(question_.max_body_bytes),
      timer_(event_new(loop.base(), -1, 0, timer_cb, this)) {
  event_active(timer_.get(), EV_TIMEOUT, 0);
}

HttpFetch::~HttpFetch() = default;

void HttpFetch::timer_cb(evutil_socket_t /*fd*/, short /*what*/, void* self) noexcept {
  auto* fetch = static_cast<HttpFetch*>(self);
  if (!fetch->started_) {
    fetch->start();
  } else {
    fetch->deliver(Error{"no answer within " + std::to_string(fetch->question_.within.count()) + " ms"});
  }
}

void HttpFetch::start() {
  started_ = true;
  const timeval patience = as_timeval(question_.within);
  event_add(timer_.get(), &patience);
  if (!question_.to.unix_path.empty()) {
    const std::string trouble = connect_to(question_.to);
    if (!trouble.empty()) deliver(Error{trouble});
    return;
  }
  query_ = resolver_.lookup(question_.to.host, [this](Result<Resolver::Addresses> addresses) {
    if (addresses) {
      addresses_.assign(addresses->rbegin(), addresses->rend());
      try_next_address();
    } else {
      deliver(Error{"cannot resolve " + question_.to.host + ": " + addresses.error()});
    }
  });
}

void HttpFetch::try_next_address() {
  // An address that never answers must leave time for the others.
  const auto share = question_.within / static_cast<long>(addresses_.size());
  std::string trouble;
  do {
    const std::string address = std::move(addresses_.back());
    addresses_.pop_back();
    trouble = connect_to({.unix_path = {}, .host = address, .port = question_.to.port});
  } while (!trouble.empty() && !addresses_.empty());
  if (!trouble.empty()) return deliver(Error{trouble});
  if (addresses_.empty()) return;
  const timeval patience = as_timeval(share);
  bufferevent_set_timeouts(buffer_.get(), nullptr, &patience);
}

std::string HttpFetch::connect_to(const Endpoint& endpoint) {
  auto request = http_get(question_.path, question_.authority, question_.headers);
  if (!request) return request.error();
  const auto address = endpoint.unix_path.empty() ? ip_address(endpoint.host, endpoint.port)
                                                  : unix_address(endpoint.unix_path);
  if (!address) return address.error();
  // Callbacks are deferred, so that they run from the loop even if the connection fails at once.
  buffer_.reset(bufferevent_socket_new(loop_.base(), -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS));
  bufferevent_setcb(buffer_.get(), readable_cb, nullptr, event_cb, this);
  bufferevent_enable(buffer_.get(), EV_READ | EV_WRITE);
  bufferevent_write(buffer_.get(), request->data(), request->size());
  const int connected =
      bufferevent_socket_connect(buffer_.get(), address->get(), static_cast<int>(address->length));
  return connected == 0 ? std::string() : last_socket_error();
}

void HttpFetch::readable_cb(bufferevent* /*buffer*/, void* self) noexcept {
  static_cast<HttpFetch*>(self)->read();
}

void HttpFetch::event_cb(bufferevent* /*buffer*/, short what, void* self) noexcept {
  auto* fetch = static_cast<HttpFetch*>(self);
  if ((what & BEV_EVENT_CONNECTED) != 0) {
    fetch->addresses_.clear();
    bufferevent_set_timeouts(fetch->buffer_.get(), nullptr, nullptr);
  } else if ((what & (BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) != 0 && !fetch->addresses_.empty()) {
    fetch->try_next_address();
  } else if ((what & BEV_EVENT_EOF) != 0) {
    if (fetch->reader_.end() == HttpAnswerReader::State::kDone) {
      fetch->deliver(fetch->reader_.take());
    } else {
      fetch->deliver(Error{fetch->reader_.error()});
    }
  } else if ((what & BEV_EVENT_ERROR) != 0) {
    fetch->deliver(Error{last_socket_error()});
  }
}

void HttpFetch::read() {
  evbuffer* input = bufferevent_get_input(buffer_.get());
  const std::size_t size = evbuffer_get_length(input);
  const auto* bytes = reinterpret_cast<const char*>(evbuffer_pullup(input, -1));
  const auto state = reader_.feed({bytes, bytes == nullptr ? 0 : size});
  evbuffer_drain(input, size);
  if (state == HttpAnswerReader::State::kDone) {
    deliver(reader_.take());
  } else if (state == HttpAnswerReader::State::kBroken) {
    deliver(Error{reader_.error()});
  }
}

// May destroy `this`.
void HttpFetch::deliver(Result<HttpAnswer> result) {
  buffer_.reset();
  query_.reset();
  event_del(timer_.get());
  const Done done = std::move(done_);
  done(std::move(result));
}

}  // namespace tailgate
