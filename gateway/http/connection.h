// HttpConnection: one accepted connection, from its accept to its end.
//
// Knows evhttp and how long a client may take; knows no request's meaning.  evhttp
// sees a head only when it is whole and check_head() has let it pass; whatever else comes is refused here,
// in our words.  What a client sends ahead is bounded, and a head has a deadline, so that a connection
// which says nothing, or a byte a second, is gone soon.
// Lives until evhttp frees its connection; its owner destroys it in on_closed().
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
  // For a whole request, from its first byte on; a new connection's first from the accept on.
  std::chrono::milliseconds request{10'000};
  // Without a byte between two requests.  Above the 60 s after which nginx drops an idle upstream
  // connection, so that it is never we who close one that nginx is just about to use.
  std::chrono::milliseconds idle{90'000};
  // Without a byte of an answer being taken.  Below nginx's send_timeout for its own client.
  std::chrono::milliseconds answer_stalled{60'000};
  // For a client to read why it was refused.
  std::chrono::milliseconds farewell{2'000};
};

class HttpConnection final : public Wheel::Entry {
 public:
  // Who answers the request that is under way.
  class User {
   public:
    virtual ~User() = default;
    virtual void on_connection_closed() = 0;
  };

  class Owner {
   public:
    virtual ~Owner() = default;
    // evhttp frees the connection when this returns; the callee destroys the object.
    virtual void on_closed(HttpConnection& connection) = 0;
    // Calls look() soon, before evhttp looks at what waits in the connection's buffer.
    virtual void look_later(HttpConnection& connection) = 0;
    virtual void on_refused(int status, std::string_view why) = 0;
    virtual Deadlines& deadlines() = 0;
  };

  // `buffer` belongs to `connection`, which waits for its first request.
  HttpConnection(Owner& owner, const HttpTimes& times, evhttp_connection* connection, bufferevent* buffer);
  ~HttpConnection() override;
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  evhttp_connection* handle() const { return connection_; }
  bufferevent* buffer() const { return buffer_; }

  // evhttp has handed out `request`: it is being answered until evhttp says that it is done.
  void on_request(evhttp_request* request);
  void set_user(User* user) { user_ = user; }
  // The answer under way is a stream: nothing that the client says is of interest any more, and one that
  // has vanished is given up when the kernel has had no word of it for `stalled`.
  void become_stream(std::chrono::milliseconds stalled);
  // The stream has ended, its last bytes may still have to leave.
  void set_leaving() { leaving_ = true; }
  bool leaving() const { return leaving_; }

  // Judges what waits in the buffer.
  void look();
  // Frees the connection and, through the owner, this.
  void close();

 private:
  enum class State { kAwaited, kAdmitted, kBusy, kRefused };

  static void closed_cb(evhttp_connection* connection, void* self) noexcept;
  static void input_cb(evbuffer* input, const evbuffer_cb_info* info, void* self) noexcept;
  static void done_cb(evhttp_request* request, void* self) noexcept;

  void on_due(TimePoint now) override;
  void hold_back();
  void admit();
  void refuse(int status, std::string_view sentence);
  void stop_watching();

  Owner& owner_;
  const HttpTimes& times_;
  evhttp_connection* connection_;
  bufferevent* buffer_;
  evbuffer_cb_entry* watch_;                 // on the input; null once it is a stream
  bufferevent_data_cb held_back_ = nullptr;  // evhttp's read callback, while it must not see the input
  std::size_t looked_at_ = 0;                // bytes of the input that hold no unseen line
  User* user_ = nullptr;
  State state_ = State::kAwaited;
  bool has_deadline_ = false;
  bool leaving_ = false;
};

}  // namespace tailgate
