// HttpClient: one connection of a test to a server on a unix socket.
//
// It reads only when the test asks, so a test makes a slow client by not asking.
#pragma once

#include <string>
#include <string_view>

#include "gateway/http/answer.h"

namespace tailgate::testing {

class HttpClient {
 public:
  // Connects at once and sends a GET.  The request waits in the kernel until the loop runs.
  HttpClient(const std::string& socket_path, std::string_view target, const HttpHeaders& headers = {},
             std::string_view method = "GET");
  HttpClient(HttpClient&& other) noexcept;
  HttpClient(const HttpClient&) = delete;
  ~HttpClient();

  // Everything that has arrived, heads and chunks as they are on the wire.  Does not block.
  const std::string& raw();
  bool got(std::string_view text) { return raw().find(text) != std::string::npos; }
  // The status of the response; 0 before its head is complete.
  int status();
  // The events of the stream: the body without the chunks' heads.
  std::string events();
  // Has the server closed the connection?
  bool closed();
  // Has the whole response arrived, the last chunk included?
  bool ended_cleanly();
  // Closes the connection.
  void leave();

 private:
  int fd_;
  std::string raw_;
  bool closed_ = false;
};

}  // namespace tailgate::testing
