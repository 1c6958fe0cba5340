#include "gateway/http/exchange.h"

#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

namespace tailgate {

namespace {

// An unsigned, because evhttp has a value outside its enumeration for methods that it does not know.
std::string_view method_name(unsigned type) {
  switch (type) {
    case EVHTTP_REQ_GET:
      return "GET";
    case EVHTTP_REQ_HEAD:
      return "HEAD";
    case EVHTTP_REQ_POST:
      return "POST";
    case EVHTTP_REQ_PUT:
      return "PUT";
    case EVHTTP_REQ_DELETE:
      return "DELETE";
    case EVHTTP_REQ_OPTIONS:
      return "OPTIONS";
    case EVHTTP_REQ_TRACE:
      return "TRACE";
    case EVHTTP_REQ_CONNECT:
      return "CONNECT";
    case EVHTTP_REQ_PATCH:
      return "PATCH";
    default:
      return "";
  }
}

const char* reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 422:
      return "Unprocessable Entity";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return "Unknown";
  }
}

void add_headers(evhttp_request* request, const HttpHeaders& headers) {
  evkeyvalq* out = evhttp_request_get_output_headers(request);
  // evhttp refuses a name or value with CR or LF; such a header is better missing than split.
  for (const auto& [name, value] : headers) (void)evhttp_add_header(out, name.c_str(), value.c_str());
}

template <typename Owner>
void release_cb(const void* /*data*/, size_t /*length*/, void* owner) noexcept {
  delete static_cast<Owner*>(owner);
}

// `owner` keeps the bytes, and is freed with them.
template <typename Owner>
void add_owned(evbuffer* buffer, std::string_view bytes, std::unique_ptr<Owner> owner) {
  if (evbuffer_add_reference(buffer, bytes.data(), bytes.size(), release_cb<Owner>, owner.get()) == 0) {
    (void)owner.release();
  }
}

}  // namespace

Exchange::Exchange(evhttp_request* request, HttpConnection& connection)
    : request_(request), connection_(&connection) {
  connection_->set_user(this);
}

Exchange::~Exchange() {
  if (request_ == nullptr) return;
  if (connection_ == nullptr) {
    evhttp_request_free(request_);  // the client left first: the request is ours (evhttp, http.c)
    return;
  }
  cut();
}

std::string_view Exchange::method() const {
  return method_name(static_cast<unsigned>(evhttp_request_get_command(request_)));
}

std::string_view Exchange::target() const {
  const char* uri = evhttp_request_get_uri(request_);
  std::string_view target = uri == nullptr ? std::string_view() : std::string_view(uri);
  // The absolute form, which every server must take (RFC 9112, section 3.2.2): what is behind the host.
  if (target.starts_with("http://") || target.starts_with("https://")) {
    target.remove_prefix(std::min(target.size(), target.find_first_of("/?", target.find("://") + 3)));
    if (target.empty()) return "/";
  }
  return target;
}

std::optional<std::string_view> Exchange::header(const char* name) const {
  const char* value = evhttp_find_header(evhttp_request_get_input_headers(request_), name);
  if (value == nullptr) return std::nullopt;
  return value;
}

bufferevent* Exchange::buffer() const {
  return connection_->buffer();
}

// Puts our callbacks in front of evhttp's.  evhttp would end the process on a pipelined byte that its
// own read callback sees in this state (libevent 2.1.12, evhttp_read_cb).
void Exchange::hook() {
  bufferevent_data_cb inner_read = nullptr;
  bufferevent_data_cb inner_write = nullptr;
  bufferevent_event_cb inner_event = nullptr;
  void* arg = nullptr;
  bufferevent_getcb(buffer(), &inner_read, &inner_write, &inner_event, &arg);
  if (inner_event != event_cb) {
    inner_write_cb_ = inner_write;
    inner_event_cb_ = inner_event;
    inner_arg_ = arg;
  }
  bufferevent_setcb(buffer(), read_cb, begun_ ? drained_cb : nullptr, event_cb, this);
}

void Exchange::watch(Observer& observer) {
  observer_ = &observer;
  if (connection_ == nullptr) return;
  hook();
  bufferevent_enable(buffer(), EV_READ);
}

void Exchange::on_connection_closed() {
  connection_ = nullptr;
  // evhttp lets go of a request that was still being answered; it is ours to free now.  (When the whole
  // server is freed it does not, and then frees the request itself.)
  if (evhttp_request_get_connection(request_) != nullptr) request_ = nullptr;
  if (observer_ != nullptr) observer_->on_gone(stalled_ ? Gone::kStalled : Gone::kClientLeft);
}

void Exchange::read_cb(bufferevent* buffer, void* self) noexcept {
  // On a stream nothing a client could still say matters.  Before it, a pipelined request stays where it
  // is until this one is answered; the connection bounds how much that can be.
  if (!static_cast<Exchange*>(self)->begun_) return;
  evbuffer* input = bufferevent_get_input(buffer);
  evbuffer_drain(input, evbuffer_get_length(input));
}

void Exchange::drained_cb(bufferevent* /*buffer*/, void* self) noexcept {
  auto* exchange = static_cast<Exchange*>(self);
  if (exchange->observer_ != nullptr) exchange->observer_->on_drained();
}

void Exchange::event_cb(bufferevent* buffer, short what, void* self) noexcept {
  auto* exchange = static_cast<Exchange*>(self);
  exchange->stalled_ = (what & BEV_EVENT_TIMEOUT) != 0;
  exchange->inner_event_cb_(buffer, what, exchange->inner_arg_);
}

// Hands the request back to evhttp, which from now on is alone with it.
void Exchange::let_go() {
  connection_->set_user(nullptr);
  if (inner_event_cb_ != nullptr) {
    bufferevent_setcb(buffer(), nullptr, inner_write_cb_, inner_event_cb_, inner_arg_);
    inner_event_cb_ = nullptr;
  }
  observer_ = nullptr;
  request_ = nullptr;
  connection_ = nullptr;
}

void Exchange::answer(int status, const HttpHeaders& headers, std::string body) {
  assert(!begun_);
  if (connection_ == nullptr) return;
  evhttp_request* request = request_;
  add_headers(request, headers);
  if (status != 204) {
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Length",
                      std::to_string(body.size()).c_str());
  }
  connection_->set_leaving();
  const bool bodiless = status == 204 || evhttp_request_get_command(request) == EVHTTP_REQ_HEAD;
  let_go();
  const BufferHandle content(evbuffer_new());
  if (!bodiless && !body.empty()) {
    auto owner = std::make_unique<std::string>(std::move(body));
    const std::string_view bytes(*owner);
    add_owned(content.get(), bytes, std::move(owner));
  }
  evhttp_send_reply(request, status, reason_phrase(status), content.get());
}

void Exchange::begin(const HttpHeaders& headers, std::chrono::milliseconds send_timeout) {
  assert(!begun_);
  if (connection_ == nullptr) return;
  // HTTP/1.0 with keep-alive would get a Content-Length of 0 (libevent 2.1.12, evhttp_make_header_response).
  evkeyvalq* in = evhttp_request_get_input_headers(request_);
  evkeyvalq* out = evhttp_request_get_output_headers(request_);
  evhttp_remove_header(in, "Connection");
  add_headers(request_, headers);
  if (evhttp_find_header(out, "Connection") == nullptr) evhttp_add_header(out, "Connection", "close");
  evhttp_send_reply_start(request_, 200, reason_phrase(200));
  chunked_ = request_->chunked != 0;
  begun_ = true;
  fd_ = bufferevent_getfd(buffer());
  evhttp_clear_headers(in);
  evhttp_clear_headers(out);
  // Nothing of evhttp's looks at these any more, and each open stream would keep them (libevent 2.1.12).
  evbuffer_free(std::exchange(request_->input_buffer, nullptr));
  evbuffer_free(std::exchange(request_->output_buffer, nullptr));
  evhttp_uri_free(std::exchange(request_->uri_elems, nullptr));

  // Only writing may time out: a silent client is what a stream has.
  const timeval interval{send_timeout.count() / 1000, send_timeout.count() % 1000 * 1000};
  bufferevent_set_timeouts(buffer(), nullptr, &interval);
  connection_->become_stream(send_timeout);
  hook();
}

void Exchange::write(const Chunk& chunk, std::size_t offset) {
  assert(begun_ && offset <= chunk.size());
  if (connection_ == nullptr || offset == chunk.size()) return;
  if (!chunked_) {
    put(chunk.events().substr(offset), chunk.owner());
  } else if (offset == 0) {
    put(chunk.whole(), chunk.owner());
  } else {  // a part of it is a chunk of its own
    std::array<char, Chunk::kRoom> room{};
    char* end = room.data() + room.size();
    const char* head = Chunk::write_head(end, chunk.size() - offset);
    put({head, static_cast<std::size_t>(end - head)}, nullptr);
    put(chunk.events().substr(offset), chunk.owner());
    put(Chunk::kTail, nullptr);
  }
}

// Straight to the kernel while nothing is ahead of us in the output buffer; what it does not take is kept
// there.  Without an owner bytes are copied.
void Exchange::put(std::string_view bytes, const std::shared_ptr<const std::string>& owner) {
  if (backlog() == 0) {
    const ssize_t taken = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    // An error other than a full buffer is the read side's to report.
    if (taken > 0) bytes.remove_prefix(static_cast<std::size_t>(taken));
    is_clear_ = bytes.empty();
    if (is_clear_) return;
  }
  evbuffer* output = bufferevent_get_output(buffer());
  // Below a kilobyte a copy costs less than the two allocations of a reference.
  constexpr std::size_t kWorthSharing = 1024;
  if (owner == nullptr || bytes.size() < kWorthSharing) {
    evbuffer_add(output, bytes.data(), bytes.size());
    return;
  }
  add_owned(output, bytes, std::make_unique<std::shared_ptr<const std::string>>(owner));
}

std::size_t Exchange::backlog() const {
  return is_clear_ || connection_ == nullptr ? 0 : evbuffer_get_length(bufferevent_get_output(buffer()));
}

void Exchange::end() {
  assert(begun_);
  if (connection_ == nullptr) return;
  evhttp_request* request = request_;
  connection_->set_leaving();
  let_go();
  // begin() cleared the headers; this one makes evhttp close the connection behind the last byte.
  evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
  evhttp_send_reply_end(request);
}

void Exchange::cut() {
  if (connection_ == nullptr) return;
  HttpConnection* connection = connection_;
  let_go();
  connection->close();  // frees the request with it
}

}  // namespace tailgate
