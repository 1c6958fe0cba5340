// HttpClient: a client with one connection to a server on a unix socket.
//
// It reads only inside its functions.  A test that calls none of them has a slow client.
#pragma once

#include <string>
#include <string_view>

#include "gateway/http/answer.h"

namespace tailgate::testing {

class HttpClient {
 public:
  // Connects and sends the request at once.  The request waits in the kernel until the loop runs.
  HttpClient(const std::string& socket_path, std::string_view target, const HttpHeaders& headers = {},
             std::string_view method = "GET");
  HttpClient(HttpClient&& other) noexcept;
  HttpClient(const HttpClient&) = delete;
  ~HttpClient();

  // All bytes that have arrived, with heads and chunk sizes.  Does not block.
  const std::string& raw();
  bool got(std::string_view text) { return raw().find(text) != std::string::npos; }
  // The status of the response; 0 until its head is complete.
  int status();
  // The events of the stream: the body without chunk sizes.
  std::string events();
  // True if the server has closed the connection.
  bool closed();
  // True if the whole response has arrived, with the last chunk.
  bool ended_cleanly();
  // Closes the connection.
  void leave();

 private:
  int fd_;
  std::string raw_;
  bool closed_ = false;
};

}  // namespace tailgate::testing
