// Route: one row of the route table: path, source, framing, lifecycle, who may.  And the table.
//
// Pure.  Values only, made by config.cc, immutable while a stream uses them: streams hold
// the Config they were opened under, so a reload changes nothing for them.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/result.h"
#include "gateway/routes/message.h"
#include "gateway/routes/record.h"

namespace tailgate {

enum class Source { kChannel, kLog, kPages };
// kRaw: the payload as data, under a fixed event name or none.  kNamed: event name and data from
// members of the payload.  kEntry: a log entry's id and fields.
enum class Framing { kRaw, kNamed, kEntry };
enum class Who { kOwner, kAnyone };
// kApplication: nobody is asked for a token here; the record's status endpoint decides.
enum class AuthBy { kGateway, kApplication };
enum class OnGap { kEvent, kClose };
enum class OnUnavailable { kStatus, kSse, kAuto };

// One place where a caller may show who he is, in the order in which the route lists them.
struct Credential {
  enum class Kind { kBearer, kTokenQuery, kTokenCookie, kSessionHeader, kSessionQuery };
  Kind kind = Kind::kBearer;
  std::string name;  // query parameter, cookie or header (lower case); empty for kBearer
};

struct Heartbeat {
  std::chrono::milliseconds every{0};  // 0: none
  bool always = false;                 // else only after silence
  Message message;
};

// A message that applies to some statuses, or (empty list) to all.
struct StatusMessage {
  std::vector<std::string> statuses;
  Message message;
};

// A path of literal segments, one of which may be {id}.
class PathPattern {
 public:
  // Rule: begins with "/", no empty, "." or ".." segment, at most one "{id}", which is a whole segment.
  static Result<PathPattern> compile(std::string_view text, bool trailing_slash);

  // The id if `path` (undecoded, without query) matches; an empty id where the pattern has none.
  std::optional<std::string> match(std::string_view path) const;
  const std::string& text() const { return text_; }
  bool has_id() const { return has_id_; }
  bool trailing_slash() const { return trailing_slash_; }

 private:
  std::string text_;
  std::vector<std::string> segments_;
  bool has_id_ = false;
  bool trailing_slash_ = false;
};

struct Route {
  std::string name;
  PathPattern path;
  Source source = Source::kChannel;
  std::string key;                     // channel or log, with "{id}"
  const RecordRule* record = nullptr;  // owned by the Config; null: no record
  std::chrono::milliseconds record_grace{0};

  Who who = Who::kOwner;
  AuthBy auth = AuthBy::kGateway;
  std::vector<std::string> providers;
  std::vector<Credential> credentials;

  Framing framing = Framing::kRaw;
  std::string event;                   // kRaw: may be empty.  kEntry: the name.
  std::string id_from;                 // kRaw: member that becomes the id, or empty
  bool only_objects = false;           // kRaw: skip what is not a JSON object
  std::vector<std::string> name_from;  // kNamed: the first of these members that is a string
  std::string data_from;               // kNamed
  std::vector<std::string> entry;      // kEntry, kPages: fields of a line, in order

  std::string ends_on_field;                // member whose value ends the stream …
  std::vector<std::string> ends_on_values;  // … if it is one of these (default: the record's terminal)
  std::vector<std::string> ends_on_events;  // kNamed: events that end the stream

  Heartbeat heartbeat;
  std::vector<Message> hello;           // first, whatever the record says
  std::vector<StatusMessage> standing;  // at the opening of a job that still runs: the first that fits
  std::vector<StatusMessage> ending;    // the last message of a job that has ended: the first that fits

  std::chrono::milliseconds retry{3000};
  std::chrono::milliseconds max_age{0};  // 0: none
  std::chrono::milliseconds age_notice_before{0};
  std::optional<Message> age_notice;
  std::chrono::milliseconds send_timeout{30000};  // logs: the ten minutes of a stalled reader
  std::uint64_t backlog_bytes = 0;

  OnGap on_gap = OnGap::kEvent;
  OnUnavailable on_unavailable = OnUnavailable::kAuto;

  Template error_body;    // names: status, error, message
  std::string not_found;  // the sentence of a 404

  // Pages.
  int page_default = 100;
  int page_max = 500;
  std::uint64_t page_bytes = 8U << 20;

  // `key` with the id in its place.
  std::string key_for(std::string_view id) const;
};

// Is there a path that both match?
bool overlap(const PathPattern& a, const PathPattern& b);

struct RouteMatch {
  const Route* route = nullptr;
  std::string id;
};

class RouteTable {
 public:
  // Refuses two routes that one path could match both.
  static Result<RouteTable> make(std::vector<Route> routes);

  // `path` as it stands in the request line, up to "?".  Percent-encoded octets are decoded segment by
  // segment; an encoded "/", a control byte, an empty or dot segment, or an id outside
  // [A-Za-z0-9._-]{1,128} matches nothing.
  std::optional<RouteMatch> match(std::string_view path) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

// [A-Za-z0-9._-]{1,128}, but neither "." nor "..": in the path of a status endpoint they would climb.
bool is_job_id(std::string_view text);
// `pattern` with every "{id}" replaced.
std::string with_id(std::string_view pattern, std::string_view id);

}  // namespace tailgate
