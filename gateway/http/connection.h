// HttpConnection: one connection, from accept() to its end.
//
// Knows evhttp and the time limits of a client; knows neither routes nor responses.  Hides the input from
// evhttp until check_head() accepts a complete head, so that Tailgate, not evhttp, writes each refusal.
// Bounds the unread input of a client and the time that a request may take.  Lives until evhttp frees the
// evhttp_connection: the owner then destroys the HttpConnection in on_closed().
#pragma once

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>

#include <chrono>
#include <string_view>

#include "gateway/loop/deadlines.h"
#include "gateway/loop/wheel.h"

namespace tailgate {

struct HttpTimes {
  // How long a client may take to send a complete request.  The time begins with the request's first byte;
  // for the first request of a connection, it begins with the accept.
  std::chrono::milliseconds request{10'000};
  // How long a connection may be idle between two requests.  Longer than nginx's 60 s for an idle upstream
  // connection, so that the gateway never closes a connection that nginx is about to use.
  std::chrono::milliseconds idle{90'000};
  // How long a client may accept no byte of an answer.  Shorter than nginx's send_timeout towards its own
  // clients, so that Tailgate closes the connection first.
  std::chrono::milliseconds answer_stalled{60'000};
  // How long a refused client may read before its connection is closed.
  std::chrono::milliseconds refusal_linger{2'000};
};

class HttpConnection final : public Wheel::Entry {
 public:
  // Implemented by the Exchange of the current request.
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void on_connection_closed() = 0;
  };

  class Owner {
   public:
    virtual ~Owner() = default;
    // Destroys `connection`.  After the call evhttp frees the evhttp_connection.
    virtual void on_closed(HttpConnection& connection) = 0;
    // Calls check_input() at the end of the turn, before evhttp reads the buffered input.
    virtual void check_input_later(HttpConnection& connection) = 0;
    virtual void on_refused(int status, std::string_view why) = 0;
    virtual Deadlines& deadlines() = 0;
  };

  // `buffer` belongs to `connection`, which waits for its first request.
  HttpConnection(Owner& owner, const HttpTimes& times, evhttp_connection* connection, bufferevent* buffer);
  ~HttpConnection() override;
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  bufferevent* buffer() const { return buffer_; }

  // evhttp has parsed `request`.  The request ends with evhttp's completion callback.
  void on_request(evhttp_request* request);
  void set_observer(Observer* observer) { observer_ = observer; }
  // The response becomes a stream.  Stops checking the input.  The kernel ends a TCP connection if the client
  // acknowledges nothing for `stalled`.
  void become_stream(std::chrono::milliseconds stalled);
  // The response is complete, but bytes of it may wait in the output buffer.
  void set_flushing() { flushing_ = true; }
  bool flushing() const { return flushing_; }

  // Checks the head of the next request, as far as it has arrived.
  void check_input();
  // Frees the evhttp_connection.  During the call, the owner destroys `this`.
  void close();

 private:
  enum class State {
    kReadingHead,
    kHeadAccepted,  // evhttp may read; the body may be incomplete
    kAnswering,
    kRefused,
  };

  static void closed_cb(evhttp_connection* connection, void* self) noexcept;
  static void input_cb(evbuffer* input, const evbuffer_cb_info* info, void* self) noexcept;
  static void done_cb(evhttp_request* request, void* self) noexcept;

  void on_due(TimePoint now) override;
  void hide_input();
  void reveal_input();
  void refuse(int status, std::string_view sentence);
  void stop_checking();

  Owner& owner_;
  const HttpTimes& times_;
  evhttp_connection* connection_;
  bufferevent* buffer_;
  evbuffer_cb_entry* input_callback_;             // null once the response is a stream
  bufferevent_data_cb hidden_read_cb_ = nullptr;  // evhttp's read callback while the input is hidden from it
  std::size_t checked_bytes_ = 0;                 // the length of the input at the last check
  Observer* observer_ = nullptr;
  State state_ = State::kReadingHead;
  bool has_deadline_ = false;
  bool flushing_ = false;
};

}  // namespace tailgate
