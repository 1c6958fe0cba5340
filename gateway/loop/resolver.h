// Resolver: looks up host names without blocking the loop.
//
// Calls getaddrinfo, so nsswitch.conf, /etc/hosts and resolv.conf count as they stand at each lookup.  A
// lookup runs in a helper thread.  There is none while nothing is being looked up, and at most kMostThreads,
// so that a name whose server does not answer delays no other name.  All else here runs in the loop's thread.
// Must outlive its queries.  The destructor never waits: a thread that still hangs in getaddrinfo ends by
// itself, its answer is dropped, and the process may exit before that.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/base/result.h"
#include "gateway/loop/handles.h"
#include "gateway/loop/loop.h"

namespace tailgate {

class Resolver {
 public:
  static constexpr int kMostThreads = 4;

  // Numeric, each once, at least one, in getaddrinfo's order (RFC 6724): the first is to be tried first.
  using Addresses = std::vector<std::string>;
  using Lookup = std::function<Result<Addresses>(const std::string& host)>;  // may block
  using Done = std::function<void(Result<Addresses>)>;

  // One question.  Destroying it withdraws it: `done` is not called any more.
  class Query {
   public:
    ~Query();
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;

   private:
    friend class Resolver;
    Query(Resolver& resolver, const std::string& host, Done done);

    static void deadline_cb(evutil_socket_t fd, short what, void* self) noexcept;
    void finish(Result<Addresses> answer);

    Resolver& resolver_;
    const std::string host_;
    Done done_;
    EventHandle deadline_;
  };

  // A query fails after `patience`, even if its lookup hangs.  The default is longer than glibc waits for one
  // name server before it asks the next (5 s).
  explicit Resolver(const Loop& loop, Lookup lookup = ask_system,
                    std::chrono::milliseconds patience = std::chrono::seconds(10));
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Calls `done` once from the loop, even for a numeric address never from inside lookup().  Queries for a
  // name that is being looked up share its answer.
  [[nodiscard]] std::unique_ptr<Query> lookup(const std::string& host, Done done);

 private:
  struct Shared;  // what the Resolver and its helper threads share

  static Result<Addresses> ask_system(const std::string& host);
  static void answers_cb(evutil_socket_t fd, short what, void* self) noexcept;

  void take_answers();

  const Loop& loop_;
  const std::chrono::milliseconds patience_;
  std::vector<Query*> queries_;  // without an answer
  std::shared_ptr<Shared> shared_;
  EventHandle answers_event_;
};

}  // namespace tailgate
