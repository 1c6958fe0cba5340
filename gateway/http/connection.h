// HttpConnection: one accepted connection, from its accept to its end.
//
// Knows evhttp and the time limits of a client; knows neither routes nor responses.  Hides the input from
// evhttp until the head of a request is complete and check_head() has accepted it, so that every refusal has
// our words.  Bounds the bytes that a client sends ahead, and the time that it may take for a request.  Lives
// until evhttp frees its connection: the owner destroys it in on_closed().
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
  // For a complete request, counted from its first byte; for the first of a connection, from the accept.
  std::chrono::milliseconds request{10'000};
  // Without a byte between two requests.  Longer than the 60 s after which nginx closes an idle upstream
  // connection, so that the gateway never closes one that nginx is about to use.
  std::chrono::milliseconds idle{90'000};
  // While the client takes no byte of a response.  Shorter than nginx's send_timeout towards its own client.
  std::chrono::milliseconds answer_stalled{60'000};
  // For the client to read a refusal, before the connection is closed.
  std::chrono::milliseconds refusal_linger{2'000};
};

class HttpConnection final : public Wheel::Entry {
 public:
  // Implemented by the Exchange of the request that is under way.
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void on_connection_closed() = 0;
  };

  class Owner {
   public:
    virtual ~Owner() = default;
    // Destroys `connection`.  evhttp frees its own connection when this returns.
    virtual void on_closed(HttpConnection& connection) = 0;
    // Calls check_input() at the end of the turn, before evhttp reads the input that is already there.
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

  // evhttp has parsed `request`, which is under way until evhttp calls its completion callback.
  void on_request(evhttp_request* request);
  void set_observer(Observer* observer) { observer_ = observer; }
  // The response under way is a stream.  Its input is no longer checked, and the kernel ends a TCP connection
  // whose peer has acknowledged nothing for `stalled`.
  void become_stream(std::chrono::milliseconds stalled);
  // The response is complete, but bytes of it may wait in the output buffer.
  void set_flushing() { flushing_ = true; }
  bool flushing() const { return flushing_; }

  // Checks the head of the next request, as far as it has come.
  void check_input();
  // Frees the connection and, through the owner, this.
  void close();

 private:
  enum class State {
    kReadingHead,
    kHeadAccepted,  // evhttp may read; a body may be missing
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
  std::size_t checked_bytes_ = 0;                 // of the input; their last line is not complete
  Observer* observer_ = nullptr;
  State state_ = State::kReadingHead;
  bool has_deadline_ = false;
  bool flushing_ = false;
};

}  // namespace tailgate
