// Exchange: one HTTP request and its response.
//
// Knows evhttp and bytes; knows neither routes nor events.  evhttp owns the evhttp_request.  If the client
// leaves before the response is complete, evhttp detaches the request, and the Exchange frees it.  An
// Exchange is used in one of two ways:
//   answer()                          a complete response;
//   begin(), write()…, end() | cut()  a stream.
// After answer(), end() or cut() the Exchange may die.  If it dies earlier, it closes the connection.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/http/answer.h"
#include "gateway/http/chunk.h"
#include "gateway/http/connection.h"
#include "gateway/loop/handles.h"

struct evhttp_request;

namespace tailgate {

class Exchange final : private HttpConnection::Observer {
 public:
  enum class Gone { kClientLeft, kStalled };

  // Called from the loop.  The functions must not destroy the Exchange.
  class Observer {
   public:
    virtual ~Observer() = default;
    // The client has left, or has accepted no byte for the send timeout.  Called at most once.  From then on
    // write(), answer() and end() do nothing.
    virtual void on_gone(Gone gone) = 0;
    // The backlog has become empty.
    virtual void on_drained() {}
  };

  // Made in evhttp's callback for `request`, which came on `connection`.
  Exchange(evhttp_request* request, HttpConnection& connection);
  ~Exchange() override;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Parts of the request, valid until begin() or answer().
  std::string_view method() const;                                 // empty if unknown to evhttp
  std::string_view target() const;                                 // path and query as sent
  std::optional<std::string_view> header(const char* name) const;  // the first line with this name
  // All lines of a header in one: cookies are joined by "; " (RFC 9113, section 8.2.3), others by ", " (RFC
  // 9110, section 5.3).  Leaves out empty lines.
  std::optional<std::string> joined_header(std::string_view name) const;

  // From now on reports a client that leaves, even before the response begins.
  void watch(Observer& observer);

  // Sends a complete response.  For HEAD, sends only the length of `body`.
  void answer(int status, const HttpHeaders& headers, std::string body);

  // Starts a stream with status 200.  A client that accepts no byte for `send_timeout` is gone.
  void begin(const HttpHeaders& headers, std::chrono::milliseconds send_timeout);
  // Sends the chunk's events from byte `offset` on.  Bytes that the kernel does not take join the backlog.
  // Precondition: after begin(), before end() and cut().
  void write(const Chunk& chunk, std::size_t offset = 0);
  // The number of bytes that the kernel has not taken.
  std::size_t backlog() const;
  bool begun() const { return begun_; }

  // Ends a stream: the backlog and the last chunk are still sent, then the connection closes.
  void end();
  // Closes the connection at once, without the last chunk.
  void cut();

 private:
  void send(std::string_view bytes, const std::shared_ptr<const std::string>& storage);
  void on_connection_closed() override;
  static void read_cb(bufferevent* buffer, void* self) noexcept;
  static void drained_cb(bufferevent* buffer, void* self) noexcept;
  static void event_cb(bufferevent* buffer, short what, void* self) noexcept;

  bufferevent* buffer() const;
  void install_callbacks();
  void release_request();

  evhttp_request* request_;     // null once the Exchange must not use it
  HttpConnection* connection_;  // null once the client is gone
  // Only for a stream: fd_ and is_output_empty_ repeat what libevent knows, because reading libevent's fields
  // costs three cache misses for each client of a batch.
  int fd_ = -1;
  bool is_output_empty_ = false;  // false: unknown
  bool begun_ = false;
  bool chunked_ = false;
  bool stalled_ = false;
  Observer* observer_ = nullptr;
  // evhttp's callbacks, which ours replace.
  bufferevent_data_cb evhttp_write_cb_ = nullptr;
  bufferevent_event_cb evhttp_event_cb_ = nullptr;
  void* evhttp_arg_ = nullptr;
};

}  // namespace tailgate
