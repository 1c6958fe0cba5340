// Resolver: host names to addresses without blocking the loop.
//
// evdns with the system's resolv.conf and hosts file, which are read again when they
// have changed; a numeric address is its own answer.
#pragma once

#include <sys/stat.h>

#include <cstddef>
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
  struct Files {
    std::string resolv_conf = "/etc/resolv.conf";
    std::string hosts = "/etc/hosts";
  };
  explicit Resolver(const Loop& loop) : Resolver(loop, Files()) {}
  Resolver(const Loop& loop, Files files);
  ~Resolver();
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

  // Numeric, at least one, the one to be tried first in front.
  using Addresses = std::vector<std::string>;

  // Calls `done` from the loop, never from inside lookup().
  [[nodiscard]] std::unique_ptr<Query> lookup(const std::string& host,
                                              std::function<void(Result<Addresses>)> done);

 private:
  // What tells that a file is another one than before.
  struct Look {
    ino_t inode = 0;
    off_t size = -1;  // -1: there is none
    timespec changed{};
    bool operator==(const Look& other) const;
  };
  // evdns as it was configured by the files of one moment.
  struct Book {
    DnsHandle dns;
    std::size_t pending = 0;  // questions that it has not answered yet
    TimePoint retired{};
  };

  static Look look_at(const std::string& path);
  void read_files();
  void bury_books();

  const Loop& loop_;
  const Files files_;
  Look resolv_conf_;
  Look hosts_;
  std::unique_ptr<Book> book_;
  // Those before it: evdns goes on for a while after its last answer, so they die a minute later.
  std::vector<std::unique_ptr<Book>> retired_;
};

}  // namespace tailgate
