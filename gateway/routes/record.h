// Record: who owns a job and where it stands, and how the configuration says to read that.
//
// Pure.  Turns a hash's fields or a status endpoint's JSON into a Record; knows neither
// Redis nor HTTP, only texts.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/result.h"
#include "gateway/routes/message.h"

namespace tailgate {

// One value that messages may name: where it comes from and what it is.
struct RecordField {
  enum class As { kText, kNumber, kJson };
  std::string name;             // what templates call it
  std::string from;             // hash field, or member of the status endpoint's object
  As as = As::kText;            // a hash holds only text: read it as text, number, or JSON text
  std::string absent = "null";  // JSON text for a field that is absent (or null, or of no use as `as`)
};

// How to read one kind of record: [record.<name>] of the configuration.
struct RecordRule {
  enum class Kind { kHash, kHttp };
  std::string name;
  Kind kind = Kind::kHash;

  // kHash.  `key` has "{id}" where the job's id goes.
  std::string key;
  std::string user;     // field of the owning user; empty: jobs have none
  std::string session;  // field of the owning session; empty: jobs have none

  // kHttp.  `target` is "unix:<socket>" or "<host>:<port>", `path` has "{id}".
  std::string target;
  std::string path;
  std::vector<std::string> forward;  // the caller's headers that are sent along, lower case
  std::chrono::milliseconds timeout{3000};

  std::string status;                 // field or member of the status
  std::vector<std::string> terminal;  // statuses after which nothing comes
  std::vector<RecordField> fields;

  // kHash: the fields to ask for: user, session, status (those that have a name), then the rest.
  std::vector<std::string> hash_fields;
  // The same without what holds JSON: that may be megabytes, and while a job runs nobody wants it.
  std::vector<std::string> watch_fields;

  // Makes these two lists of all the rest.
  void list_fields();
  bool is_terminal(std::string_view status_text) const;
};

struct Record {
  std::string user;     // empty: nobody
  std::string session;  // empty: nobody
  std::string status;   // empty: none yet
  bool terminal = false;
  Values values;  // every name of RecordRule::fields, and "status" (JSON texts)
};

// From a hash: `texts[i]` is the value of `names[i]` (names: hash_fields or watch_fields),
// nothing where the field is absent.  Nothing at all present: no record (nullopt).
std::optional<Record> record_from_hash(const RecordRule& rule, const std::vector<std::string>& names,
                                       const std::vector<std::optional<std::string>>& texts);

// From a status endpoint's body.  Not a JSON object: an error.  The owner is left empty: a 200 from
// the application says the caller is it.
Result<Record> record_from_json(const RecordRule& rule, std::string_view body);

// May someone with these proven names see the job?  Empty names and empty fields match nobody.
bool may_see(const Record& record, std::string_view user, std::string_view session);

}  // namespace tailgate
