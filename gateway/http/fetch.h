// HttpFetch: one GET over plain HTTP, to a unix socket or a host.
//
// Knows sockets and the resolver; HttpAnswerReader parses the answer.  Has no TLS: for https, nginx listens
// on a unix socket and speaks TLS to the server.  Follows no redirect.  A destroyed HttpFetch closes its
// connection and does not call `done`.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "gateway/base/endpoint.h"
#include "gateway/base/result.h"
#include "gateway/http/answer.h"
#include "gateway/loop/handles.h"
#include "gateway/loop/loop.h"
#include "gateway/loop/resolver.h"

namespace tailgate {

struct HttpQuestion {
  Endpoint to;
  std::string path;                        // with the query
  std::string authority = "localhost";     // the Host header
  HttpHeaders headers{};                   // in addition to Host and Connection
  std::size_t max_body_bytes = 1U << 20;   // a larger body is an error
  std::chrono::milliseconds within{3000};  // from the start to the last byte
};

class HttpFetch {
 public:
  using Done = std::function<void(Result<HttpAnswer>)>;

  // Calls `done` once from the loop, never inside the constructor.  An answer with any HTTP status is a
  // result, not an error.  `done` may destroy the HttpFetch.
  HttpFetch(const Loop& loop, Resolver& resolver, HttpQuestion question, Done done);
  ~HttpFetch();
  HttpFetch(const HttpFetch&) = delete;
  HttpFetch& operator=(const HttpFetch&) = delete;

 private:
  static void timer_cb(evutil_socket_t fd, short what, void* self) noexcept;
  static void readable_cb(bufferevent* buffer, void* self) noexcept;
  static void event_cb(bufferevent* buffer, short what, void* self) noexcept;

  void start();
  void try_next_address();
  // Returns an immediate error; empty if connecting is under way.
  std::string connect_to(const Endpoint& endpoint);
  void read();
  void deliver(Result<HttpAnswer> result);

  const Loop& loop_;
  Resolver& resolver_;
  HttpQuestion question_;
  Done done_;
  HttpAnswerReader reader_;
  bool started_ = false;
  EventHandle timer_;  // fires at the start, then at the deadline
  std::unique_ptr<Resolver::Query> query_;
  Resolver::Addresses addresses_;  // not tried yet, in reverse order; empty once connected
  BuffereventHandle buffer_;
};

}  // namespace tailgate
