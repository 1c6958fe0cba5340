// HttpFetch: one GET over plain HTTP, to a unix socket or a host, without blocking the loop.
//
// Knows sockets and the resolver; what the bytes say is http_answer.h's.  TLS is the
// business of an nginx leg on a unix socket.  Follows no redirect.  Destroying it ends it: the connection is
// closed and nothing is delivered any more.
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
  std::string path;                        // and query
  std::string authority = "localhost";     // the Host header
  HttpHeaders headers{};                   // beside Host and Connection
  std::size_t max_body_bytes = 1U << 20;   // an answer that is larger is an error
  std::chrono::milliseconds within{3000};  // from the start to the last byte
};

class HttpFetch {
 public:
  using Done = std::function<void(Result<HttpAnswer>)>;

  // `done` is called once, from the loop, never from in here; whatever the status.  Inside it the HttpFetch
  // may be destroyed.
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
  // Why it failed at once; empty: it is under way.
  std::string connect_to(const Endpoint& endpoint);
  void read();
  void deliver(Result<HttpAnswer> result);

  const Loop& loop_;
  Resolver& resolver_;
  HttpQuestion question_;
  Done done_;
  HttpAnswerReader reader_;
  bool started_ = false;
  EventHandle timer_;  // the start, then the end of patience
  std::unique_ptr<Resolver::Query> query_;
  Resolver::Addresses addresses_;  // those of a host that have not been tried, the next one last
  BuffereventHandle buffer_;
};

}  // namespace tailgate
