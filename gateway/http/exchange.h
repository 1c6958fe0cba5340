// Exchange: one HTTP request and what we say to it; owns the evhttp_request.
//
// Knows evhttp and bytes; knows no route and no event.  Two ways to use one:
//   answer()                          a whole response, once, and then the Exchange may die;
//   begin(), write()…, end() | cut()  a stream that stays open.
// A Exchange that dies without either answers nothing and closes the connection.
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

class Exchange final : private HttpConnection::User {
 public:
  enum class Gone { kClientLeft, kStalled };

  // Who is told of the client.  Called from the loop; inside neither may the Exchange be destroyed.
  class Observer {
   public:
    virtual ~Observer() = default;
    // It has left, or has accepted no byte for the send timeout.  At most once; nothing can be written then.
    virtual void on_gone(Gone gone) = 0;
    // Everything written has left for the kernel, after some had to wait.
    virtual void on_drained() {}
  };

  // Takes over `request`, which came on `connection`, from inside evhttp's request callback.
  Exchange(evhttp_request* request, HttpConnection& connection);
  ~Exchange() override;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // The request.  The views live until begin() or answer().
  std::string_view method() const;  // empty: none that is known here
  std::string_view target() const;  // path and query as sent
  std::optional<std::string_view> header(const char* name) const;

  // From here on a client that leaves is noticed, also while its request is still being looked up.
  void watch(Observer& observer);

  // The whole response.  `body` is not sent to a HEAD, its length is.
  void answer(int status, const HttpHeaders& headers, std::string body);

  // Starts a stream: status 200.  A client that then accepts no byte for `send_timeout` is gone.
  void begin(const HttpHeaders& headers, std::chrono::milliseconds send_timeout);
  // Sends the chunk's events from `offset` on: at once as far as the kernel takes them, the rest as it
  // drains. Precondition: begun, not ended.  Does nothing once the client is gone.
  void write(const Chunk& chunk, std::size_t offset = 0);
  // How much waits in our own memory.
  std::size_t backlog() const;
  bool begun() const { return begun_; }

  // Ends a stream cleanly: what is written still leaves, then the connection closes.
  void end();
  // Closes at once, without the clean end.
  void cut();

 private:
  void put(std::string_view bytes, const std::shared_ptr<const std::string>& owner);
  void on_connection_closed() override;
  static void read_cb(bufferevent* buffer, void* self) noexcept;
  static void drained_cb(bufferevent* buffer, void* self) noexcept;
  static void event_cb(bufferevent* buffer, short what, void* self) noexcept;

  bufferevent* buffer() const;
  void hook();
  void let_go();

  evhttp_request* request_;     // null once evhttp has it back
  HttpConnection* connection_;  // null once the client is gone
  // Of a stream, here because libevent keeps them three objects away, each a cache miss in a fan-out.
  int fd_ = -1;
  bool is_clear_ = false;  // known: nothing waits in the output buffer
  bool begun_ = false;
  bool chunked_ = false;
  bool stalled_ = false;
  Observer* observer_ = nullptr;
  // evhttp's own callbacks, called from ours.
  bufferevent_data_cb inner_write_cb_ = nullptr;
  bufferevent_event_cb inner_event_cb_ = nullptr;
  void* inner_arg_ = nullptr;
};

}  // namespace tailgate
