// Resolver: host names to addresses without blocking the loop.
//
// Rank 2 (C, wrapped).  evdns with the system's resolv.conf and hosts file; a numeric address is its own
// answer.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "gateway/base/result.h"
#include "gateway/io/handles.h"
#include "gateway/io/loop.h"

namespace tailgate {

class Resolver {
 public:
  explicit Resolver(const Loop& loop);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // One question under way; destroying it makes sure that its answer is never delivered.
  class Query {
   public:
    struct State;
    ~Query();

   private:
    friend class Resolver;
    explicit Query(State* state) : state_(state) {}
    State* state_;
  };

  // Calls `done` with one numeric address, from the loop, never from inside lookup().
  [[nodiscard]] std::unique_ptr<Query> lookup(const std::string& host,
                                              std::function<void(Result<std::string>)> done);

 private:
  const Loop& loop_;
  DnsHandle dns_;  // null when the system names no resolver: then only numeric addresses and hosts work
};

}  // namespace tailgate
