// Route: one [route.<name>] of the configuration: path, source, access, framing, and the life of its streams.
//
// Pure.  config/routes.cc makes the routes, which never change.  A stream keeps the Config that it was opened
// under, so a reload does not affect the stream.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/result.h"
#include "gateway/routes/key_template.h"
#include "gateway/routes/path_pattern.h"
#include "gateway/routes/record.h"
#include "gateway/sse/message.h"

namespace tailgate {

enum class Source { kChannel, kLog, kPages };
// How a frame is made.  kRaw: the payload is the data, and the event's name is fixed.  kNamed: members of the
// payload are the event's name and data.  kEntry: the data hold a log entry's id and fields.
enum class Framing { kRaw, kNamed, kEntry };
enum class Who { kOwner, kAnyone };
// kApplication: the gateway verifies no token; the answer of the record's status endpoint decides.
enum class AuthBy { kGateway, kApplication };
enum class OnGap { kEvent, kClose };
enum class OnUnavailable { kStatus, kSse, kAuto };

// A part of a request that can hold a token or the id of an anonymous session.
struct Credential {
  enum class Kind { kBearer, kTokenQuery, kTokenCookie, kSessionHeader, kSessionQuery };
  Kind kind = Kind::kBearer;
  std::string name;  // of the parameter, cookie or header (a header's in lower case); empty for kBearer

  // "bearer", "query:<name>", "cookie:<name>", "session-header:<name>" or "session-query:<name>".
  static Result<Credential> parse(std::string_view text);
  bool is_session() const { return kind == Kind::kSessionHeader || kind == Kind::kSessionQuery; }
};

struct Heartbeat {
  std::chrono::milliseconds every{0};  // 0: no heartbeat
  bool always = false;                 // false: only after `every` without another frame
  Message message;
};

// A message for a job with certain statuses.
struct StatusMessage {
  std::vector<std::string> statuses;  // empty: all
  Message message;
};

struct Route {
  std::string name;
  PathPattern path;
  Source source = Source::kChannel;
  KeyTemplate key;                     // name of the channel or key of the log
  const RecordRule* record = nullptr;  // owned by the Config; null: the route has no record
  std::chrono::milliseconds record_grace{0};
  std::chrono::milliseconds end_grace{0};  // logs: how long the log of an ended job must be silent

  Who who = Who::kOwner;
  AuthBy auth = AuthBy::kGateway;
  std::vector<std::string> providers;
  std::vector<Credential> credentials;

  Framing framing = Framing::kRaw;
  std::string event;                   // kRaw, kEntry: the event's name; may be empty
  std::string id_from;                 // kRaw: the payload's member that becomes the id, or empty
  bool only_objects = false;           // kRaw: skip payloads that are not JSON objects
  std::vector<std::string> name_from;  // kNamed: the name is the first of these members that is a string
  std::string data_from;               // kNamed: the member that is the data
  std::vector<std::string> entry;      // kEntry, pages: the fields to send, in order

  // Channels: a stream ends after a payload whose member `ends_on_field` is one of `ends_on_values`.
  // kNamed: also after an event whose name is one of `ends_on_events`.
  std::string ends_on_field;
  std::vector<std::string> ends_on_values;
  std::vector<std::string> ends_on_events;

  Heartbeat heartbeat;
  std::vector<Message> hello;           // the first messages of every stream
  std::vector<StatusMessage> standing;  // a running job's status at the opening; the first match is sent
  std::vector<StatusMessage> ending;    // the last message of an ended job; the first match is sent

  std::chrono::milliseconds retry{3000};
  std::chrono::milliseconds max_age{0};  // 0: no limit
  std::chrono::milliseconds age_notice_before{0};
  std::optional<Message> age_notice;
  std::chrono::milliseconds send_timeout{30000};  // how long a client may accept no byte
  std::uint64_t backlog_bytes = 0;

  OnGap on_gap = OnGap::kEvent;
  OnUnavailable on_unavailable = OnUnavailable::kAuto;

  Template error_body;    // its ${names}: status, error, message
  std::string not_found;  // the message of a 404

  // Only for pages.
  int page_default = 100;               // lines, if the request sets no limit
  int page_max = 500;                   // the highest limit that a request may set
  std::uint64_t page_bytes = 8U << 20;  // bytes after which a page ends
};

struct RouteMatch {
  const Route* route = nullptr;
  std::string id;  // the values of the path's named segments, joined by "/"
};

// The route that matches `path`, the undecoded request target up to "?".  No two routes may overlap().
std::optional<RouteMatch> find_route(const std::vector<Route>& routes, std::string_view path);

// True for a channel that no route may read.  The gateway subscribes to some of these channels for its own
// purposes.  A stream of such a channel would get no messages, and would end the gateway's subscription when
// it ends.  A stream of __keyevent@… would reveal the names of all keys.
bool is_reserved_channel(std::string_view name);

}  // namespace tailgate
