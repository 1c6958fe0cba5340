#include "gateway/http/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <string>

#include "gateway/http/head.h"
#include "gateway/loop/handles.h"

namespace tailgate {

namespace {

// The most unread input.  A whole request must fit, or it would never be complete.
constexpr std::size_t kMostUnread = 64UL * 1024;
static_assert(kMostUnread > kMostHeadBytes + kMostBodyBytes);
constexpr std::size_t kMostWritten = 1U << 20;  // bytes in one turn

// Tailgate must refuse each target that evhttp cannot parse, because evhttp would answer 400 by itself.
// evhttp can parse every target that begins with exactly one "/".
bool can_be_parsed(std::string_view target) {
  if (target.starts_with('/') && !target.starts_with("//")) return true;
  const std::string text(target);
  const std::unique_ptr<evhttp_uri, Freed<evhttp_uri_free>> uri(
      evhttp_uri_parse_with_flags(text.c_str(), EVHTTP_URI_NONCONFORMANT));
  return uri != nullptr;
}

bool has_line_after(evbuffer* input, std::size_t offset) {
  evbuffer_ptr from{};
  return evbuffer_ptr_set(input, &from, offset, EVBUFFER_PTR_SET) == 0 &&
         evbuffer_search(input, "\n", 1, &from).pos >= 0;
}

}  // namespace

HttpConnection::HttpConnection(Owner& owner, const HttpTimes& times, evhttp_connection* connection,
                               bufferevent* buffer)
    : owner_(owner),
      times_(times),
      connection_(connection),
      buffer_(buffer),
      input_callback_(evbuffer_add_cb(bufferevent_get_input(buffer), input_cb, this)) {
  evhttp_connection_set_closecb(connection_, closed_cb, this);
  // By default, libevent writes at most 16 KB in one turn.  A burst adds more.
  bufferevent_set_max_single_write(buffer_, kMostWritten);
  bufferevent_setwatermark(buffer_, EV_READ, 0, kMostUnread);
  const timeval idle = as_timeval(times_.idle);
  bufferevent_set_timeouts(buffer_, &idle, &idle);
  has_deadline_ = true;
  owner_.deadlines().set(*this, Loop::now() + times_.request);
}

HttpConnection::~HttpConnection() {
  stop_checking();
}

void HttpConnection::stop_checking() {
  if (input_callback_ == nullptr) return;
  evbuffer_remove_cb_entry(bufferevent_get_input(buffer_), input_callback_);
  input_callback_ = nullptr;
}

void HttpConnection::closed_cb(evhttp_connection* /*connection*/, void* self) noexcept {
  auto* connection = static_cast<HttpConnection*>(self);
  if (connection->observer_ != nullptr) connection->observer_->on_connection_closed();
  connection->owner_.on_closed(*connection);
}

// Called during the read, before evhttp's read callback.
void HttpConnection::input_cb(evbuffer* /*input*/, const evbuffer_cb_info* info, void* self) noexcept {
  if (info->n_added > 0) static_cast<HttpConnection*>(self)->check_input();
}

void HttpConnection::check_input() {
  if (state_ != State::kReadingHead) return;
  evbuffer* input = bufferevent_get_input(buffer_);
  const std::size_t length = evbuffer_get_length(input);
  if (length == 0) return;
  if (!has_deadline_) {
    has_deadline_ = true;
    owner_.deadlines().set(*this, Loop::now() + times_.request);
  }
  const bool is_checked =
      checked_bytes_ > 0 && length <= kMostHeadBytes && !has_line_after(input, checked_bytes_);
  checked_bytes_ = length;
  if (is_checked) return hide_input();

  std::string bytes(std::min(length, kMostHeadBytes + 2), '\0');
  (void)evbuffer_copyout(input, bytes.data(), bytes.size());
  const HeadCheck check = check_head(bytes);
  switch (check.state) {
    case HeadCheck::State::kMore:
      return hide_input();
    case HeadCheck::State::kRefused:
      return refuse(check.status, check.sentence);
    case HeadCheck::State::kGood:
      if (!can_be_parsed(check.target)) return refuse(400, "The address cannot be read");
      return reveal_input();
  }
}

void HttpConnection::hide_input() {
  if (hidden_read_cb_ != nullptr) return;
  bufferevent_data_cb write = nullptr;
  bufferevent_event_cb event = nullptr;
  void* arg = nullptr;
  bufferevent_getcb(buffer_, &hidden_read_cb_, &write, &event, &arg);
  bufferevent_setcb(buffer_, nullptr, write, event, arg);
}

// After this call evhttp reads the input: later in the current read, or when it checks for pipelined input.
void HttpConnection::reveal_input() {
  state_ = State::kHeadAccepted;
  if (hidden_read_cb_ == nullptr) return;
  bufferevent_data_cb read = nullptr;
  bufferevent_data_cb write = nullptr;
  bufferevent_event_cb event = nullptr;
  void* arg = nullptr;
  bufferevent_getcb(buffer_, &read, &write, &event, &arg);
  bufferevent_setcb(buffer_, hidden_read_cb_, write, event, arg);
  hidden_read_cb_ = nullptr;
}

void HttpConnection::refuse(int status, std::string_view sentence) {
  state_ = State::kRefused;
  hide_input();
  owner_.on_refused(status, sentence);
  const int fd = bufferevent_getfd(buffer_);
  if (evbuffer_get_length(bufferevent_get_output(buffer_)) == 0) {
    const std::string answer = refusal_answer(status, sentence);
    (void)send(fd, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  // Closes only the sending direction.  close() would reset a connection with unread bytes, and the client
  // might lose the refusal.
  (void)shutdown(fd, SHUT_WR);
  has_deadline_ = true;
  owner_.deadlines().set(*this, Loop::now() + times_.refusal_linger);
}

void HttpConnection::on_request(evhttp_request* request) {
  state_ = State::kAnswering;
  has_deadline_ = false;
  Wheel::clear(*this);
  // No read timeout: the client waits for the response and sends nothing.
  const timeval stalled = as_timeval(times_.answer_stalled);
  bufferevent_set_timeouts(buffer_, nullptr, &stalled);
  evhttp_request_set_on_complete_cb(request, done_cb, this);
}

void HttpConnection::done_cb(evhttp_request* /*request*/, void* self) noexcept {
  auto* connection = static_cast<HttpConnection*>(self);
  connection->state_ = State::kReadingHead;
  connection->flushing_ = false;
  connection->checked_bytes_ = 0;
  const timeval idle = as_timeval(connection->times_.idle);
  bufferevent_set_timeouts(connection->buffer_, &idle, &idle);
  if (evbuffer_get_length(bufferevent_get_input(connection->buffer_)) > 0) {
    connection->owner_.check_input_later(*connection);
  }
}

void HttpConnection::become_stream(std::chrono::milliseconds stalled) {
  stop_checking();
  // TCP_USER_TIMEOUT ends a connection whose client acknowledges nothing.  Keepalive (tcp(7)) does not: the
  // kernel sends no probe while a heartbeat is unacknowledged, so a dead network shows only after 15 minutes.
  // setsockopt() fails on a unix socket, which needs no timeout.
  const auto ms =
      static_cast<unsigned>(std::min<std::chrono::milliseconds::rep>(stalled.count(), 86'400'000));
  (void)setsockopt(bufferevent_getfd(buffer_), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

void HttpConnection::on_due(TimePoint /*now*/) {
  const bool sent_nothing = evbuffer_get_length(bufferevent_get_input(buffer_)) == 0;
  if (state_ == State::kRefused || (state_ == State::kReadingHead && sent_nothing)) return close();
  refuse(408, "The request took too long");
}

void HttpConnection::close() {
  evhttp_connection_free(connection_);
}

}  // namespace tailgate
