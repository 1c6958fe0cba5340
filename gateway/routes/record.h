// Record: the owner and the status of one job; RecordRule: how to read them.
//
// Pure.  Makes a Record from the fields of a hash or from the JSON of a status endpoint.  Knows neither Redis
// nor HTTP.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/result.h"
#include "gateway/routes/key_template.h"
#include "gateway/sse/message.h"

namespace tailgate {

// One value that messages can use as ${name}.
struct RecordField {
  enum class As { kText, kNumber, kJson };
  std::string name;             // the name in ${name}
  std::string from;             // the hash's field, or the member of the status endpoint's answer
  As as = As::kText;            // how to read the value: a hash holds only texts
  std::string absent = "null";  // JSON to use if the value is absent, null or unreadable
};

// One [record.<name>] of the configuration.
struct RecordRule {
  enum class Kind { kHash, kHttp };
  std::string name;
  Kind kind = Kind::kHash;

  // Only for kHash.
  KeyTemplate key;      // of the hash
  std::string user;     // the field of the owning user; empty: none
  std::string session;  // the field of the owning session; empty: none

  // Only for kHttp.
  std::string target;                // "unix:<socket>" or "<host>:<port>"
  KeyTemplate path;                  // of the status endpoint, with its query
  std::vector<std::string> forward;  // the caller's headers to forward, lower case
  std::chrono::milliseconds timeout{3000};

  std::string status;                 // the field or member with the status
  std::vector<std::string> terminal;  // the statuses of a job that has ended
  std::vector<RecordField> fields;

  // Only for kHash: the fields to request.  First those of user, session and status, then all others.
  std::vector<std::string> hash_fields;
  // hash_fields without As::kJson.  A JSON field can be megabytes, and a stream needs it only at its opening
  // and at the job's end.
  std::vector<std::string> watch_fields;

  // Fills hash_fields and watch_fields from the members above.
  void list_fields();
  bool is_terminal(std::string_view status_text) const;
};

struct Record {
  std::string user;     // empty: the job has no owning user
  std::string session;  // empty: the job has no owning session
  std::string status;   // empty: the job has no status yet
  bool terminal = false;
  Values values;  // all RecordRule::fields and "status", as JSON
};

// Makes a record from a hash.  `names` is hash_fields or watch_fields, and `texts[i]` is the value of the
// field `names[i]`.  Returns nothing if all fields are absent.
std::optional<Record> record_from_hash(const RecordRule& rule, const std::vector<std::string>& names,
                                       const std::vector<std::optional<std::string>>& texts);

// Makes a record from the body of a status endpoint's 200, which must be a JSON object.  The owner stays
// empty: a 200 itself says that the caller may see the job.
Result<Record> record_from_json(const RecordRule& rule, std::string_view body);

// True if the verified `user` or `session` owns the job.  Empty names never match.
bool may_see(const Record& record, std::string_view user, std::string_view session);

}  // namespace tailgate
