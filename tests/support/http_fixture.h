// For tests of http/: an HttpServer on a unix socket, and clients that send raw bytes.
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

  // Returns how many bytes the kernel took.
  std::size_t send(std::string_view bytes);
  void half_close() const;
  // All bytes that have come so far.
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
  // Starts the server, in place of the one before.
  void serve(const HttpTimes& times = {});
  RawClient client() const { return RawClient(path("server.sock")); }
  static std::string get(const std::string& target);
  // Sends a request whose exchange is kept, and waits until the handler has it.
  RawClient client_with_kept_exchange(const std::string& request = get("/kept"));
  bool run_until_received(RawClient& client, std::string_view text);

  void on_gone(Exchange::Gone gone) override { gone_.push_back(gone); }
  void on_drained() override { ++drained_; }

  std::unique_ptr<HttpServer> server_;
  std::vector<std::unique_ptr<Exchange>> kept_;  // after the server: they die before it
  std::vector<std::string> targets_;             // method and target of each request
  std::string body_ = "ok";                      // of each answer
  bool keep_ = false;                            // exchanges are watched and kept instead of answered
  std::vector<Exchange::Gone> gone_;
  int drained_ = 0;
};

}  // namespace tailgate::testing
