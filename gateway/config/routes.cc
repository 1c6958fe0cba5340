// Reads [route.*], the URLs that Tailgate serves.
#include <algorithm>
#include <utility>

#include "gateway/config/parts.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// Like require(), but also refuses an empty text or list.
void require_value(const Section& table, std::string_view key) {
  const auto values = table.texts(key);
  if (values.empty() || values.front().empty()) table.settings().add_missing(table.at(key));
}

// Refuses a ${name} in a text in which the gateway inserts no values.
void refuse_names(const Section& table, std::string_view key) {
  if (table.text(key).find("${") != std::string::npos)
    table.add_error(key, "is sent as it is; only data, text, comment and error_body can hold a ${name}");
}

void read_source(const Section& table, Route& route) {
  table.require("source");
  const std::string source = table.text("source");
  if (source.empty()) return;
  if (source == "log") route.source = Source::kLog;
  if (source == "pages") route.source = Source::kPages;
  const unsigned bit = 1U << static_cast<unsigned>(route.source);
  for (const std::string& key : table.settings().keys_below(table.name())) {
    if ((find_option(key)->sources & bit) == 0)
      table.settings().add_error(key, "has no effect on a route with source = \"" + source + '"');
  }
}

IdRule read_ids(const Section& table) {
  IdRule::Form form = IdRule::Form::kSegment;
  if (table.text("id") == "uuid") form = IdRule::Form::kUuid;
  if (table.text("id") == "int") form = IdRule::Form::kInt;
  return table.checked("id_chars", IdRule::make(form, table.text("id_chars"))).value_or(IdRule());
}

void read_path(const Section& table, Route& route) {
  if (table.require("path")) {
    auto path = PathPattern::compile(table.text("path"), table.boolean("trailing_slash"), read_ids(table));
    if (auto good = table.checked("path", std::move(path))) route.path = std::move(*good);
  }
  for (const std::string& name : route.path.names()) {
    if (contains(kNamesOfMessages, name))
      table.add_error("path", "${" + name + "} has a meaning of its own; choose another name");
  }
  table.require("key");
  if (auto key = table.checked("key", KeyTemplate::compile(table.text("key")))) route.key = std::move(*key);
  if (route.source == Source::kChannel && is_reserved_channel(table.text("key"))) {
    table.add_error("key",
                    "must not name a channel of Redis itself or of Tailgate: __keyspace@…, __keyevent@…, "
                    "__redis__:invalidate or tailgate:control:…");
  }
}

void read_access(const Section& table, const Config& config, Route& route) {
  table.require("who");
  if (table.text("who") == "anyone") route.who = Who::kAnyone;
  if (table.text("auth") == "application") route.auth = AuthBy::kApplication;
  route.providers = table.texts("providers");
  for (const std::string& name : route.providers) {
    if (config.provider(name) == nullptr) table.add_error("providers", "there is no [provider." + name + ']');
  }
  for (const std::string& text : table.texts("credentials")) {
    if (auto credential = table.checked("credentials", Credential::parse(text)))
      route.credentials.push_back(std::move(*credential));
  }
  route.record_grace = table.duration("record_grace_ms");
  route.end_grace = table.duration("end_grace_ms");
  if (!table.has("record")) return;
  const std::string name = table.text("record");
  const auto record = std::ranges::find(config.records, name, &RecordRule::name);
  if (record != config.records.end()) {
    route.record = &*record;
  } else {
    table.add_error("record", "there is no [record." + name + ']');
  }
}

void read_framing(const Section& table, Route& route) {
  const std::string source = table.text("source");
  if (source == "channel") {
    table.require("framing");
    if (table.text("framing") == "named") route.framing = Framing::kNamed;
  } else if (!source.empty()) {
    route.framing = Framing::kEntry;
    require_value(table, "entry");
  }
  if (route.framing == Framing::kNamed) {
    require_value(table, "name_from");
    require_value(table, "data_from");
  }
  route.event = table.text("event");
  refuse_names(table, "event");
  route.id_from = table.text("id_from");
  route.only_objects = table.boolean("only_objects");
  route.name_from = table.texts("name_from");
  route.data_from = table.text("data_from");
  route.entry = table.texts("entry");
  if (contains(route.entry, "id"))
    table.add_error("entry", "must not hold \"id\": each line has its entry's id by that name");
  route.ends_on_field = table.text("ends_on.field");
  route.ends_on_values = table.texts("ends_on.values");
  route.ends_on_events = table.texts("ends_on.events");
}

void read_answers(const Section& table, Route& route) {
  auto body = Template::compile_json(table.text("error_body"), {"status", "error", "message"});
  if (auto good = table.checked("error_body", std::move(body))) route.error_body = std::move(*good);
  route.not_found = table.text("not_found");
  refuse_names(table, "not_found");
  route.page_default = table.integer<int>("page_default");
  route.page_max = table.integer<int>("page_max");
  route.page_bytes = table.integer<std::uint64_t>("page_bytes");
  const std::string on_unavailable = table.text("on_unavailable");
  if (on_unavailable == "sse") route.on_unavailable = OnUnavailable::kSse;
  if (on_unavailable == "status" || route.source == Source::kPages)
    route.on_unavailable = OnUnavailable::kStatus;
  if (table.text("on_gap") == "close") route.on_gap = OnGap::kClose;
}

// Reads the message in the table `key`: a comment, or an event with `data` or `text`.  The message may use
// the ${names} that every message of the route may use, and those in `names`.
std::optional<Message> read_message(const Section& table, const Route& route, const std::string& key,
                                    std::vector<std::string> names) {
  using Kind = Message::Kind;
  const auto contents = table.present({key + ".comment", key + ".data", key + ".text"});
  const bool has_comment = table.has(key + ".comment");
  if (contents.size() != 1 || (has_comment && table.has(key + ".event"))) {
    table.add_error(key, "must be a comment, or an event with either data or text");
    return std::nullopt;
  }
  refuse_names(table, key + ".event");
  names.insert(names.end(), {"route", "max_age_s", "now"});
  names.insert(names.end(), route.path.names().begin(), route.path.names().end());
  const Kind kind = has_comment                ? Kind::kComment
                    : table.has(key + ".data") ? Kind::kJsonEvent
                                               : Kind::kTextEvent;
  const std::string& content = contents.front();
  return table.checked(content, Message::make(kind, table.text(key + ".event"), table.text(content), names));
}

void read_lifecycle(const Section& table, Route& route) {
  route.heartbeat.every = table.duration("heartbeat.every_s");
  route.heartbeat.always = table.text("heartbeat.when") == "always";
  const auto beat =
      table.present({"heartbeat.comment", "heartbeat.event", "heartbeat.data", "heartbeat.text"});
  if (beat.empty()) {
    route.heartbeat.message = *Message::make(Message::Kind::kComment, {}, "heartbeat", {});
  } else if (auto message = read_message(table, route, "heartbeat", {})) {
    route.heartbeat.message = std::move(*message);
  }
  for (std::size_t i = 0; i < table.settings().size_of(table.at("hello")); ++i) {
    const std::string key = "hello[" + std::to_string(i) + ']';
    if (auto message = read_message(table, route, key, {"request_id", "connection_id"}))
      route.hello.push_back(std::move(*message));
  }
  route.retry = table.duration("retry_ms");
  route.max_age = table.duration("max_age_s");
  if (table.has("age_notice")) {
    route.age_notice_before = table.duration("age_notice.before_s");
    route.age_notice = read_message(table, route, "age_notice", {});
  }
  // A channel's backlog must hold a burst until nginx takes it.  A large backlog costs little memory, because
  // all streams of a channel share the bytes.  A log needs less: when its backlog is full, Tailgate reads the
  // rest of the log later, and nothing is lost.
  const bool is_log = route.source == Source::kLog;
  route.send_timeout = std::chrono::seconds(is_log ? 600 : 30);
  route.backlog_bytes = is_log ? 256U << 10 : 4U << 20;
  if (table.has("send_timeout_s")) route.send_timeout = table.duration("send_timeout_s");
  if (table.has("backlog_bytes")) route.backlog_bytes = table.integer<std::uint64_t>("backlog_bytes");
}

bool has_terminal(const Route& route) {
  return route.record != nullptr && !route.record->terminal.empty();
}

void default_ends_on_values(const Section& table, Route& route) {
  if (route.ends_on_field.empty() || !route.ends_on_values.empty()) return;
  if (!has_terminal(route))
    return table.add_error("ends_on.field", "needs ends_on.values, or a record that has terminal statuses");
  route.ends_on_values = route.record->terminal;
}

// True if an earlier message is sent for each of `statuses` (empty: all statuses).
bool is_never_sent(const std::vector<std::string>& statuses, const std::vector<StatusMessage>& earlier) {
  const auto is_taken = [&earlier](const std::string& status) {
    return std::ranges::any_of(
        earlier, [&status](const StatusMessage& entry) { return contains(entry.statuses, status); });
  };
  if (std::ranges::any_of(earlier, [](const StatusMessage& entry) { return entry.statuses.empty(); }))
    return true;
  return !statuses.empty() && std::ranges::all_of(statuses, is_taken);
}

std::vector<StatusMessage> read_status_messages(const Section& table, const Route& route,
                                                const std::string& list, bool terminal) {
  if (!table.has(list)) return {};
  if (route.record == nullptr || route.record->status.empty() || (terminal && !has_terminal(route))) {
    table.add_error(list, "needs a record with status and terminal");
    return {};
  }
  std::vector<std::string> names = {"status"};
  for (const RecordField& field : route.record->fields) names.push_back(field.name);
  if (terminal && route.source == Source::kLog) names.emplace_back("last_id");
  std::vector<StatusMessage> messages;
  for (std::size_t i = 0; i < table.settings().size_of(table.at(list)); ++i) {
    const std::string key = list + '[' + std::to_string(i) + ']';
    const auto statuses = table.texts(key + ".status");
    for (const std::string& status : statuses) {
      if (route.record->is_terminal(status) == terminal) continue;
      table.add_error(key + ".status",
                      '"' + status +
                          (terminal ? "\" is not a terminal status"
                                    : "\" is a terminal status: its message is among ending"));
    }
    if (is_never_sent(statuses, messages) && !table.settings().has_error_below(table.at(key)))
      table.add_error(key, "is never sent: an earlier message is sent for each of its statuses");
    if (auto message = read_message(table, route, key, names))
      messages.push_back({.statuses = statuses, .message = std::move(*message)});
  }
  return messages;
}

void check_endings(const Section& table, const Route& route) {
  if (!has_terminal(route)) return;
  for (const std::string& status : route.record->terminal) {
    const bool is_covered = std::ranges::any_of(route.ending, [&status](const StatusMessage& entry) {
      return entry.statuses.empty() || contains(entry.statuses, status);
    });
    if (is_covered) continue;
    table.add_error("ending", "has no message for the terminal status \"" + status +
                                  "\", so its clients would not learn of the end");
  }
}

// Reads one route in three steps: each key by itself, the rules about several keys, and the keys that depend
// on the record.  Skips a step if the route or its record has a finding, because the step would often repeat
// the finding.
Route read_route(const Section& table, const Config& config) {
  Route route;
  const auto is_sound = [&] {
    if (table.has_error()) return false;
    return route.record == nullptr || !table.settings().has_error_below("record." + route.record->name);
  };
  read_source(table, route);
  read_path(table, route);
  read_access(table, config, route);
  read_framing(table, route);
  read_answers(table, route);
  // Without a path it is unknown which names the messages may use.
  if (route.source != Source::kPages && !route.path.text().empty()) read_lifecycle(table, route);
  if (is_sound()) check_route(table, route);
  if (!is_sound()) return route;
  default_ends_on_values(table, route);
  route.standing = read_status_messages(table, route, "standing", false);
  route.ending = read_status_messages(table, route, "ending", true);
  if (route.source != Source::kPages && is_sound()) check_endings(table, route);
  return route;
}

// Two routes that permit different callers must not have a key in common.  Otherwise one route shows what the
// other protects.  If both write the key as the same text, the operator means one source, and that is
// allowed.
void check_common_key(const Section& table, const Route& route, const Route& other) {
  const bool same_kind = (route.source == Source::kChannel) == (other.source == Source::kChannel);
  const bool same_callers =
      route.who == other.who && (route.who == Who::kAnyone || route.record == other.record);
  if (!same_kind || same_callers || route.key.text() == other.key.text()) return;
  if (table.has_error() || table.settings().has_error_below("route." + other.name)) return;
  const auto text = common_text(other.key, other.path.rules(), route.key, route.path.rules());
  if (!text) return;
  table.add_error("key", "can be the same as the key of [route." + other.name +
                             "], which permits other callers: both can be \"" + *text +
                             "\"; choose keys that no id can make equal");
}

}  // namespace

void read_routes(Settings& settings, Config& config) {
  const std::vector<std::string> names = settings.names_in("route");
  if (names.empty() && !settings.has_error_below("route"))
    settings.add_error("route", "there is none: at least one [route.<name>] is needed");
  for (const std::string& name : names) {
    const Section table(settings, "route." + name);
    if (settings.is_fragment(table.name(), {"path", "source", "key", "who"})) continue;
    Route route = read_route(table, config);
    route.name = name;
    if (route.path.text().empty()) continue;
    for (const Route& other : config.routes) {
      check_common_key(table, route, other);
      if (!overlap(other.path, route.path)) continue;
      const bool same_ids = other.path.ids() == route.path.ids();
      table.add_error("path", "matches the same path as " + other.path.text() + " of [route." + other.name +
                                  ']' + (same_ids ? "" : "; nginx does not look at the form of an id") +
                                  "; give one of them another literal segment");
    }
    config.routes.push_back(std::move(route));
  }
}

}  // namespace tailgate
