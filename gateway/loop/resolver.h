// Resolver: looks up host names without blocking the loop.
//
// Calls getaddrinfo, which uses the current nsswitch.conf, /etc/hosts and resolv.conf.  Lookups run in up to
// kMostThreads helper threads.  A new lookup waits only while all of these threads are busy.  Idle helper
// threads end.  All other code runs in the loop's thread.
// Must outlive its queries.  The destructor does not wait for a thread that hangs in getaddrinfo.  Such a
// thread ends later or with the process, and its answer is dropped.
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

  // Numeric addresses: at least one, no duplicates, in the order in which to try them (RFC 6724).
  using Addresses = std::vector<std::string>;
  using Lookup = std::function<Result<Addresses>(const std::string& host)>;  // may block
  using Done = std::function<void(Result<Addresses>)>;

  // One lookup.  A destroyed query does not call `done` any more.
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

  // A query fails after `patience`, even if its lookup hangs.  The default is longer than the 5 s after which
  // glibc asks the next name server.
  explicit Resolver(const Loop& loop, Lookup lookup = ask_system,
                    std::chrono::milliseconds patience = std::chrono::seconds(10));
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Calls `done` once from the loop, never inside lookup(), not even for a numeric address.  Simultaneous
  // queries for one name share one lookup.
  [[nodiscard]] std::unique_ptr<Query> lookup(const std::string& host, Done done);

 private:
  struct Shared;  // what the Resolver and its helper threads share

  static Result<Addresses> ask_system(const std::string& host);
  static void answers_cb(evutil_socket_t fd, short what, void* self) noexcept;

  void take_answers();

  const Loop& loop_;
  const std::chrono::milliseconds patience_;
  std::vector<Query*> queries_;  // not answered yet
  std::shared_ptr<Shared> shared_;
  EventHandle answers_event_;
};

}  // namespace tailgate
