// HttpTest: an HttpServer on a unix socket.  RawClient: a client that sends raw bytes.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/http/server.h"
#include "tests/support/loop_fixture.h"

namespace tailgate::testing {

class RawClient {
 public:
  explicit RawClient(const std::string& path);
  RawClient(RawClient&& other) noexcept;
  RawClient(const RawClient&) = delete;
  ~RawClient();

  // Returns how many bytes the kernel has accepted.
  std::size_t send(std::string_view bytes);
  void half_close() const;
  // All bytes that have arrived so far.
  const std::string& received();
  bool closed();

 private:
  int fd_;
  std::string received_;
  bool closed_ = false;
};

class HttpTest : public LoopTest, protected Exchange::Observer {
 protected:
  void SetUp() override { serve(); }
  // Starts a server in place of the previous one.
  void serve(const HttpTimes& times = {});
  RawClient client() const { return RawClient(path("server.sock")); }
  static std::string get(const std::string& target);
  // Sends a request and waits until its exchange is in kept_.
  RawClient client_with_kept_exchange(const std::string& request = get("/kept"));
  bool run_until_received(RawClient& client, std::string_view text);

  void on_gone(Exchange::Gone gone) override { gone_.push_back(gone); }
  void on_drained() override { ++drained_; }

  std::unique_ptr<HttpServer> server_;
  std::vector<std::unique_ptr<Exchange>> kept_;  // declared after the server, because they must die before it
  std::vector<std::string> targets_;             // method and target of each request
  std::string body_ = "ok";                      // the body of each answer
  bool keep_ = false;                            // true: the handler keeps exchanges and does not answer
  std::vector<Exchange::Gone> gone_;
  int drained_ = 0;
};

}  // namespace tailgate::testing
