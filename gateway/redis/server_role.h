// ServerRole: what a Redis server says about itself in its answer to ROLE.
//
// A primary that is demoted keeps its connections, and so does a replica that loses its primary.  Both go on
// answering, with data that may be out of date.  Messages that are published elsewhere no longer arrive.
// Only the server's role shows this.
#pragma once

#include <hiredis/hiredis.h>

#include <string>

namespace tailgate {

struct ServerRole {
  // kUnknown: the server has not answered ROLE, refuses it, or gives an answer of another kind.
  enum class Kind { kUnknown, kPrimary, kReplica, kSentinel };
  Kind kind = Kind::kUnknown;
  std::string primary;  // of a replica: "<host>:<port>"
  bool follows =
      true;  // false: a replica that has no link to its primary, or still copies the primary's data

  bool known() const { return kind != Kind::kUnknown; }
};

// Reads the answer to ROLE.
ServerRole read_role(const redisReply& reply);

// Why a server with this role may not be read, for the log; empty if it may be read.  A replica that follows
// its primary may be read.
std::string why_unsound(const ServerRole& role);
// Why a connection counts as lost if its server's role was `before` and is `now`; empty if both are the same.
std::string why_changed(const ServerRole& before, const ServerRole& now);

}  // namespace tailgate
