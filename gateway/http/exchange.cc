#include "gateway/http/exchange.h"

#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "gateway/http/status.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::pair<unsigned, std::string_view> kMethods[] = {
    {EVHTTP_REQ_GET, "GET"},     {EVHTTP_REQ_HEAD, "HEAD"},       {EVHTTP_REQ_POST, "POST"},
    {EVHTTP_REQ_PUT, "PUT"},     {EVHTTP_REQ_DELETE, "DELETE"},   {EVHTTP_REQ_OPTIONS, "OPTIONS"},
    {EVHTTP_REQ_TRACE, "TRACE"}, {EVHTTP_REQ_CONNECT, "CONNECT"}, {EVHTTP_REQ_PATCH, "PATCH"},
};

void add_headers(evhttp_request* request, const HttpHeaders& headers) {
  evkeyvalq* out = evhttp_request_get_output_headers(request);
  // evhttp refuses a name or value whose CR or LF would begin another header line.  The response then lacks
  // the header, which does less harm than a forged line.
  for (const auto& [name, value] : headers) (void)evhttp_add_header(out, name.c_str(), value.c_str());
}

template <typename Storage>
void delete_cb(const void* /*data*/, size_t /*length*/, void* storage) noexcept {
  delete static_cast<Storage*>(storage);
}

// Adds `bytes` without a copy.  `storage` owns the bytes and is deleted when they have been sent.
template <typename Storage>
void add_reference(evbuffer* buffer, std::string_view bytes, std::unique_ptr<Storage> storage) {
  if (evbuffer_add_reference(buffer, bytes.data(), bytes.size(), delete_cb<Storage>, storage.get()) == 0) {
    (void)storage.release();
  }
}

}  // namespace

Exchange::Exchange(evhttp_request* request, HttpConnection& connection)
    : request_(request), connection_(&connection) {
  connection_->set_observer(this);
}

Exchange::~Exchange() {
  if (request_ == nullptr) return;
  if (connection_ == nullptr) {
    evhttp_request_free(request_);  // see on_connection_closed()
    return;
  }
  cut();
}

std::string_view Exchange::method() const {
  // For an unknown method, evhttp returns a value outside its enumeration.
  const auto type = static_cast<unsigned>(evhttp_request_get_command(request_));
  for (const auto& [known, name] : kMethods) {
    if (known == type) return name;
  }
  return {};
}

std::string_view Exchange::target() const {
  const char* uri = evhttp_request_get_uri(request_);
  std::string_view target = uri == nullptr ? std::string_view() : std::string_view(uri);
  // The absolute form, which every server must accept (RFC 9112, section 3.2.2).
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

std::optional<std::string> Exchange::joined_header(std::string_view name) const {
  const std::string lower = ascii_lower(name);
  const std::string_view separator = lower == "cookie" ? "; " : ", ";
  std::optional<std::string> joined;
  const evkeyvalq* headers = evhttp_request_get_input_headers(request_);
  for (const evkeyval* each = headers->tqh_first; each != nullptr; each = each->next.tqe_next) {
    if (ascii_lower(each->key) != lower || trim(each->value).empty()) continue;
    if (joined) *joined += separator;
    joined = joined.value_or("") + each->value;
  }
  return joined;
}

bufferevent* Exchange::buffer() const {
  return connection_->buffer();
}

// Installs our callbacks in place of evhttp's.  evhttp's read callback ends the process if it sees a byte
// while a request is being answered (libevent 2.1.12, evhttp_read_cb).
void Exchange::install_callbacks() {
  if (evhttp_event_cb_ == nullptr)
    bufferevent_getcb(buffer(), nullptr, &evhttp_write_cb_, &evhttp_event_cb_, &evhttp_arg_);
  bufferevent_setcb(buffer(), read_cb, begun_ ? drained_cb : nullptr, event_cb, this);
}

void Exchange::watch(Observer& observer) {
  observer_ = &observer;
  if (connection_ == nullptr) return;
  install_callbacks();
  bufferevent_enable(buffer(), EV_READ);
}

void Exchange::on_connection_closed() {
  connection_ = nullptr;
  // When a client leaves before its response is complete, evhttp detaches the request, and we free it
  // (2.1.12, evhttp_connection_incoming_fail).  When the whole server is freed, the request is still
  // attached, and evhttp frees it.
  if (evhttp_request_get_connection(request_) != nullptr) request_ = nullptr;
  if (observer_ != nullptr) observer_->on_gone(stalled_ ? Gone::kStalled : Gone::kClientLeft);
}

void Exchange::read_cb(bufferevent* buffer, void* self) noexcept {
  // A stream ignores its client's bytes.  Bytes before a stream are a pipelined request.  They stay in the
  // buffer, whose size HttpConnection bounds.
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
  exchange->evhttp_event_cb_(buffer, what, exchange->evhttp_arg_);
}

// Gives the request and the callbacks back to evhttp.
void Exchange::release_request() {
  connection_->set_observer(nullptr);
  if (evhttp_event_cb_ != nullptr) {
    bufferevent_setcb(buffer(), nullptr, evhttp_write_cb_, evhttp_event_cb_, evhttp_arg_);
    evhttp_event_cb_ = nullptr;
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
  connection_->set_flushing();
  const bool bodiless = status == 204 || evhttp_request_get_command(request) == EVHTTP_REQ_HEAD;
  release_request();
  const BufferHandle content(evbuffer_new());
  if (!bodiless && !body.empty()) {
    auto storage = std::make_unique<std::string>(std::move(body));
    const std::string_view bytes(*storage);
    add_reference(content.get(), bytes, std::move(storage));
  }
  evhttp_send_reply(request, status, reason_phrase(status), content.get());
}

void Exchange::begin(const HttpHeaders& headers, std::chrono::milliseconds send_timeout) {
  assert(!begun_);
  if (connection_ == nullptr) return;
  // Removes the request's Connection header.  Otherwise evhttp would send Content-Length: 0 to an HTTP/1.0
  // client that asks for keep-alive (2.1.12, evhttp_make_header_response).
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
  // evhttp no longer uses these members (2.1.12).  Frees their memory now and not at the end of the stream.
  evbuffer_free(std::exchange(request_->input_buffer, nullptr));
  evbuffer_free(std::exchange(request_->output_buffer, nullptr));
  evhttp_uri_free(std::exchange(request_->uri_elems, nullptr));

  // No read timeout: the client of a stream sends nothing.
  const timeval interval = as_timeval(send_timeout);
  bufferevent_set_timeouts(buffer(), nullptr, &interval);
  connection_->become_stream(send_timeout);
  install_callbacks();
}

void Exchange::write(const Chunk& chunk, std::size_t offset) {
  assert(begun_ && offset <= chunk.size());
  if (connection_ == nullptr || offset == chunk.size()) return;
  if (!chunked_) {
    send(chunk.events().substr(offset), chunk.storage());
  } else if (offset == 0) {
    send(chunk.framed(), chunk.storage());
  } else {
    std::array<char, Chunk::kRoom> room{};
    char* end = room.data() + room.size();
    const char* head = Chunk::write_head(end, chunk.size() - offset);
    send({head, static_cast<std::size_t>(end - head)}, nullptr);
    send(chunk.events().substr(offset), chunk.storage());
    send(Chunk::kTail, nullptr);
  }
}

// Sends to the kernel if the output buffer is empty.  Adds to the buffer the bytes that the kernel does not
// take.  Copies `bytes` if `storage` is null.
void Exchange::send(std::string_view bytes, const std::shared_ptr<const std::string>& storage) {
  if (backlog() == 0) {
    const ssize_t taken = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    // Errors are ignored: reading reports a client that is gone.
    if (taken > 0) bytes.remove_prefix(static_cast<std::size_t>(taken));
    is_output_empty_ = bytes.empty();
    if (is_output_empty_) return;
  }
  evbuffer* output = bufferevent_get_output(buffer());
  // A copy of fewer bytes costs less than the two allocations of a reference.
  constexpr std::size_t kLeastShared = 1024;
  if (storage == nullptr || bytes.size() < kLeastShared) {
    evbuffer_add(output, bytes.data(), bytes.size());
    return;
  }
  add_reference(output, bytes, std::make_unique<std::shared_ptr<const std::string>>(storage));
}

std::size_t Exchange::backlog() const {
  return is_output_empty_ || connection_ == nullptr ? 0
                                                    : evbuffer_get_length(bufferevent_get_output(buffer()));
}

void Exchange::end() {
  assert(begun_);
  if (connection_ == nullptr) return;
  evhttp_request* request = request_;
  connection_->set_flushing();
  release_request();
  // begin() cleared the headers.  "Connection: close" makes evhttp close the connection after the last byte.
  evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
  evhttp_send_reply_end(request);
}

void Exchange::cut() {
  if (connection_ == nullptr) return;
  HttpConnection* connection = connection_;
  release_request();
  connection->close();  // also frees the request
}

}  // namespace tailgate
