// [route.*]: the rows of the route table (config_parts.h).
#include <algorithm>
#include <memory>
#include <utility>

#include "gateway/config/parts.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

constexpr std::string_view kId = "{id}";

bool contains(const std::vector<std::string>& texts, std::string_view text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

// A name as HTTP has it for headers and cookies (RFC 9110 section 5.6.2).
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

Result<Credential> parse_credential(const std::string& text) {
  using Kind = Credential::Kind;
  if (text == "bearer") return Credential{.kind = Kind::kBearer, .name = {}};
  const std::size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  Credential credential{.kind = Kind::kBearer,
                        .name = colon == std::string::npos ? std::string() : text.substr(colon + 1)};
  if (kind == "query") {
    credential.kind = Kind::kTokenQuery;
  } else if (kind == "cookie") {
    credential.kind = Kind::kTokenCookie;
  } else if (kind == "session-query") {
    credential.kind = Kind::kSessionQuery;
  } else if (kind == "session-header") {
    credential.kind = Kind::kSessionHeader;
    credential.name = ascii_lower(credential.name);
  }
  if (credential.kind == Kind::kBearer || !is_token(credential.name)) {
    return Error{'"' + text +
                 "\" is none of bearer, query:<name>, cookie:<name>, session-header:<name> and "
                 "session-query:<name>"};
  }
  return credential;
}

bool is_session(const Credential& credential) {
  return credential.kind == Credential::Kind::kSessionHeader ||
         credential.kind == Credential::Kind::kSessionQuery;
}

class RouteReader {
 public:
  RouteReader(Settings& settings, const Config& config, const std::string& name)
      : settings_(settings), config_(config), table_("route." + name) {
    route_.name = name;
  }

  // Nothing if its path is of no use.
  std::optional<Route> read() {
    read_source();
    const bool has_path = read_path();
    read_record();
    read_access();
    read_framing();
    read_ends_on();
    read_answers();
    if (route_.source != Source::kPages) {
      read_messages();
      read_lifecycle();
    }
    if (!has_path) return std::nullopt;
    return std::move(route_);
  }

 private:
  std::string at(std::string_view key) const { return table_ + '.' + std::string(key); }
  bool has(std::string_view key) const { return settings_.has(at(key)); }
  std::string text(std::string_view key) const { return settings_.text(at(key)); }
  std::vector<std::string> texts(std::string_view key) const { return settings_.texts(at(key)); }
  void add_error(std::string_view key, const std::string& rule) { settings_.add_error(at(key), rule); }
  bool ends() const { return route_.record != nullptr && !route_.record->terminal.empty(); }
  bool is_owners() const { return route_.who == Who::kOwner; }

  void read_source() {
    settings_.require(at("source"));
    source_is_known_ = !settings_.has_error_below(at("source"));
    const std::string source = text("source");
    if (source == "log") route_.source = Source::kLog;
    if (source == "pages") route_.source = Source::kPages;
    const unsigned bit = source == "log"     ? Option::kLog
                         : source == "pages" ? Option::kPages
                                             : Option::kChannel;
    for (const std::string& key : settings_.keys_below(table_)) {
      const Option* option = find_option(key);
      if (!source.empty() && (option->sources & bit) == 0) {
        settings_.add_error(key, "has no effect on a route with source = \"" + source + '"');
      }
    }
  }

  bool read_path() {
    const bool has_key = settings_.require(at("key"));
    route_.key = text("key");
    if (!settings_.require(at("path"))) return false;
    Result<PathPattern> path = PathPattern::compile(text("path"), settings_.boolean(at("trailing_slash")));
    if (!path) {
      add_error("path", path.error());
      return false;
    }
    route_.path = std::move(*path);
    if (!has_key) return true;
    if (settings_.has_error_below(at("key"))) return true;
    if (const std::string unknown = unknown_place(route_.key); !unknown.empty()) {
      add_error("key", "there is no " + unknown + ": a job's id is written {id}");
      return true;
    }
    const bool key_has_id = route_.key.find(kId) != std::string::npos;
    if (key_has_id && !route_.path.has_id()) add_error("key", "holds {id}, but the path does not");
    if (!key_has_id && route_.path.has_id())
      add_error("key", "must hold {id} as the path does, or all jobs would share one");
    return true;
  }

  void read_record() {
    route_.record_grace = settings_.duration(at("record_grace_ms"));
    if (!has("record")) {
      record_is_known_ = text("who") == "anyone" && !settings_.is_misspelled(at("record"));
      if (record_is_known_ && has("record_grace_ms"))
        add_error("record_grace_ms", "has no effect without record");
      return;
    }
    const std::string name = text("record");
    record_is_known_ = false;
    if (name.empty()) return;  // its finding is written
    for (const auto& record : config_.records) {
      if (record->name == name) route_.record = record.get();
    }
    if (route_.record == nullptr) return add_error("record", "there is no [record." + name + ']');
    record_is_known_ = !settings_.has_error_below("record." + name);
    if (route_.record->kind == RecordRule::Kind::kHttp && source_is_known_ &&
        route_.source != Source::kChannel) {
      add_error("record",
                "[record." + name +
                    "] is kept by the application (kind = \"http\"), which only a route with source = "
                    "\"channel\" can ask; logs and pages need a record in Redis (kind = \"hash\")");
      record_is_known_ = false;
    }
    if (route_.path.text().find(kId) == std::string::npos && !route_.path.text().empty()) {
      add_error("record", "needs {id} in the path");
    }
  }

  void read_access() {
    settings_.require(at("who"));
    if (text("who") == "anyone") route_.who = Who::kAnyone;
    if (text("auth") == "application") route_.auth = AuthBy::kApplication;
    route_.providers = texts("providers");
    for (const std::string& name : route_.providers) {
      if (config_.provider(name) == nullptr) add_error("providers", "there is no [provider." + name + ']');
    }
    for (const std::string& credential_text : texts("credentials")) {
      Result<Credential> credential = parse_credential(credential_text);
      if (credential) {
        route_.credentials.push_back(std::move(*credential));
      } else {
        add_error("credentials", credential.error());
      }
    }
    if (!has("who")) return;
    if (is_owners()) {
      check_owners();
    } else {
      check_anyone();
    }
  }

  void check_anyone() {
    for (const char* key : {"providers", "credentials", "auth"}) {
      if (!texts(key).empty() && has(key))
        add_error(key, "has no effect with who = \"anyone\": nobody's token is looked at");
    }
    if (record_is_known_ && route_.record != nullptr &&
        !(route_.record->user.empty() && route_.record->session.empty())) {
      add_error("who", "would show to anyone what [record." + route_.record->name +
                           "] says belongs to somebody; take a record without user and session");
    }
  }

  void check_owners() {
    if (route_.record == nullptr) {
      if (!has("record") && !settings_.is_misspelled(at("record")))
        add_error("record", "is missing: with who = \"owner\" it says whose a job is");
      return;
    }
    if (!record_is_known_) return;
    const RecordRule& record = *route_.record;
    const bool is_http = record.kind == RecordRule::Kind::kHttp;
    if (is_http && record.forward.empty()) {
      add_error("record",
                "[record." + record.name +
                    "] forwards no header, so the application could not know whose job it is asked for");
    }
    if (!is_http && record.user.empty() && record.session.empty()) {
      add_error("record",
                "[record." + record.name + "] has neither user nor session, so nobody would be the owner");
    }
    if (route_.auth == AuthBy::kApplication) {
      if (!is_http)
        add_error("auth",
                  "\"application\" needs a record of kind = \"http\": the application decides by its answer");
      if (!route_.providers.empty())
        add_error("providers",
                  "has no effect with auth = \"application\": the application verifies the token");
      return;
    }
    const bool has_sessions = std::any_of(route_.credentials.begin(), route_.credentials.end(), is_session);
    const bool has_tokens = !std::all_of(route_.credentials.begin(), route_.credentials.end(), is_session);
    if (settings_.has_error_below(at("credentials")) || settings_.is_misspelled(at("credentials"))) return;
    if (!has("credentials") || texts("credentials").empty()) {
      return add_error("credentials",
                       "is missing: with who = \"owner\" it says where a caller shows who he is");
    }
    if (has_tokens && route_.providers.empty() && !settings_.has_error_below(at("providers")) &&
        !settings_.is_misspelled(at("providers")))
      add_error("providers", "is missing: it says whose tokens are believed");
    if (!has_tokens && !route_.providers.empty())
      add_error("providers", "has no effect without a credential that is a token");
    if (is_http) return;
    if (has_tokens && record.user.empty()) {
      add_error("credentials",
                "holds a token, but [record." + record.name + "] has no user that could match it");
    }
    if (has_sessions && record.session.empty()) {
      add_error("credentials",
                "holds a session, but [record." + record.name + "] has no session that could match it");
    }
  }

  void read_framing() {
    route_.entry = texts("entry");
    if (!source_is_known_) return;
    if (route_.source != Source::kChannel) {
      route_.framing = Framing::kEntry;
      if (has("framing") && route_.source == Source::kLog && text("framing") != "entry") {
        add_error("framing", "must be \"entry\" with source = \"log\"");
      }
      if (route_.entry.empty() && !settings_.is_misspelled(at("entry")))
        add_error("entry", "is missing: the fields of a line, in order");
      if (contains(route_.entry, "id"))
        add_error("entry", "must not hold \"id\": each line has its entry's id by that name");
    } else if (settings_.require(at("framing"))) {
      if (text("framing") == "entry") add_error("framing", "\"entry\" needs source = \"log\"");
      if (text("framing") == "named") route_.framing = Framing::kNamed;
    }
    route_.event = text("event");
    route_.id_from = text("id_from");
    route_.only_objects = settings_.boolean(at("only_objects"));
    route_.name_from = texts("name_from");
    route_.data_from = text("data_from");
    if (settings_.has_error_below(at("framing"))) return;
    if (route_.framing == Framing::kNamed) {
      refuse({"event", "id_from", "only_objects"}, "has no effect with framing = \"named\"");
      if (route_.name_from.empty() && !settings_.is_misspelled(at("name_from")))
        add_error("name_from", "is missing: the members that may name an event");
      if (route_.data_from.empty() && !settings_.is_misspelled(at("data_from")))
        add_error("data_from", "is missing: the member that is an event's data");
    } else if (route_.source == Source::kChannel) {
      refuse({"name_from", "data_from"}, "needs framing = \"named\"");
    }
  }

  void refuse(std::initializer_list<const char*> keys, const char* why) {
    for (const char* key : keys) {
      if (has(key)) add_error(key, why);
    }
  }

  void read_ends_on() {
    route_.ends_on_field = text("ends_on.field");
    route_.ends_on_values = texts("ends_on.values");
    route_.ends_on_events = texts("ends_on.events");
    if (!route_.ends_on_values.empty() && route_.ends_on_field.empty())
      add_error("ends_on.values", "needs ends_on.field");
    if (!route_.ends_on_events.empty() && route_.framing != Framing::kNamed && source_is_known_ &&
        !settings_.has_error_below(at("framing"))) {
      add_error("ends_on.events", "needs framing = \"named\"");
    }
    if (!route_.ends_on_field.empty() && route_.ends_on_values.empty()) {
      if (ends()) {
        route_.ends_on_values = route_.record->terminal;
      } else if (record_is_known_) {
        add_error("ends_on.field", "needs ends_on.values, or a record that has terminal statuses");
      }
    }
  }

  void read_answers() {
    Result<Template> body = Template::compile_json(text("error_body"), {"status", "error", "message"});
    if (body) {
      route_.error_body = std::move(*body);
    } else {
      add_error("error_body", body.error());
    }
    route_.not_found = text("not_found");
    route_.page_default = static_cast<int>(settings_.integer(at("page_default")));
    route_.page_max = static_cast<int>(settings_.integer(at("page_max")));
    route_.page_bytes = static_cast<std::uint64_t>(settings_.integer(at("page_bytes")));
    if (route_.page_default > route_.page_max) add_error("page_default", "must not exceed page_max");
    route_.on_unavailable = OnUnavailable::kStatus;
  }

  // What a message may name depends on what is known when it is said.
  enum class Said { kAnyTime, kHello, kStanding, kEnding };

  std::vector<std::string> known_names(Said said) const {
    std::vector<std::string> known = {"id", "route", "max_age_s", "now"};
    if (said == Said::kHello) known.insert(known.end(), {"request_id", "connection_id"});
    if (said == Said::kEnding && route_.source == Source::kLog) known.emplace_back("last_id");
    if (said != Said::kStanding && said != Said::kEnding) return known;
    known.emplace_back("status");
    if (route_.record != nullptr) {
      for (const RecordField& field : route_.record->fields) known.push_back(field.name);
    }
    return known;
  }

  // The message in the table at `key`, which has `comment`, or `data` or `text` and perhaps `event`.
  std::optional<Message> read_message(const std::string& key, Said said) {
    const bool has_comment = settings_.has(key + ".comment");
    const bool has_data = settings_.has(key + ".data");
    const bool has_text = settings_.has(key + ".text");
    if (has_comment + has_data + has_text != 1 || (has_comment && settings_.has(key + ".event"))) {
      settings_.add_error(key, "must be a comment, or an event with either data or text");
      return std::nullopt;
    }
    const std::string content = key + (has_comment ? ".comment" : has_data ? ".data" : ".text");
    const std::string event = settings_.text(key + ".event");
    const auto known = known_names(said);
    // Without its record the names that a message may use are not known.
    if (!record_is_known_ && (said == Said::kStanding || said == Said::kEnding)) return Message();
    Result<Message> message = has_comment ? Message::comment(settings_.text(content), known)
                              : has_data  ? Message::event(event, settings_.text(content), known)
                                          : Message::text_event(event, settings_.text(content), known);
    if (message) return std::move(*message);
    settings_.add_error(content, message.error());
    return std::nullopt;
  }

  std::vector<StatusMessage> read_status_messages(std::string_view list, bool terminal) {
    std::vector<StatusMessage> messages;
    for (std::size_t i = 0; i < settings_.size_of(at(list)); ++i) {
      const std::string key = at(list) + '[' + std::to_string(i) + ']';
      StatusMessage entry;
      entry.statuses = settings_.texts(key + ".status");
      for (const std::string& status : entry.statuses) {
        if (!ends() || route_.record->is_terminal(status) == terminal) continue;
        settings_.add_error(key + ".status",
                            '"' + status +
                                (terminal ? "\" is not a terminal status"
                                          : "\" is a terminal status: its message is among ending"));
      }
      if (auto message = read_message(key, terminal ? Said::kEnding : Said::kStanding)) {
        entry.message = std::move(*message);
        messages.push_back(std::move(entry));
      }
    }
    const bool has_status = route_.record != nullptr && !route_.record->status.empty();
    if (has(list) && !has_status && record_is_known_)
      add_error(list, "needs a record with status and terminal");
    return messages;
  }

  void read_messages() {
    for (std::size_t i = 0; i < settings_.size_of(at("hello")); ++i) {
      if (auto message = read_message(at("hello") + '[' + std::to_string(i) + ']', Said::kHello)) {
        route_.hello.push_back(std::move(*message));
      }
    }
    route_.standing = read_status_messages("standing", false);
    route_.ending = read_status_messages("ending", true);
    if (!ends() || !record_is_known_ || !source_is_known_ || settings_.has_error_below(at("ending"))) return;
    for (const std::string& status : route_.record->terminal) {
      const bool is_covered =
          std::any_of(route_.ending.begin(), route_.ending.end(), [&status](const StatusMessage& entry) {
            return entry.statuses.empty() || contains(entry.statuses, status);
          });
      if (!is_covered)
        add_error("ending", "has no message for the terminal status \"" + status +
                                "\", so its clients would not learn of the end");
    }
  }

  void read_lifecycle() {
    route_.heartbeat.every = settings_.duration(at("heartbeat.every_s"));
    route_.heartbeat.always = text("heartbeat.when") == "always";
    const bool is_worded =
        has("heartbeat.comment") || has("heartbeat.event") || has("heartbeat.data") || has("heartbeat.text");
    if (auto message =
            is_worded ? read_message(at("heartbeat"), Said::kAnyTime) : *Message::comment("heartbeat", {})) {
      route_.heartbeat.message = std::move(*message);
    }
    route_.retry = settings_.duration(at("retry_ms"));
    route_.max_age = settings_.duration(at("max_age_s"));
    if (has("age_notice")) {
      route_.age_notice_before = settings_.duration(at("age_notice.before_s"));
      route_.age_notice = read_message(at("age_notice"), Said::kAnyTime);
      if (route_.max_age <= route_.age_notice_before && !settings_.has_error_below(at("max_age_s")))
        add_error("age_notice", "needs a max_age_s that is longer than its before_s");
    }
    const auto default_timeout = std::chrono::seconds(route_.source == Source::kLog ? 600 : 30);
    route_.send_timeout = has("send_timeout_s") ? settings_.duration(at("send_timeout_s")) : default_timeout;
    // A burst must fit while nginx takes it: what waits is shared by all viewers of a channel.  A log's
    // viewer loses nothing when it is not fed, so it is held less.
    const std::uint64_t default_backlog = route_.source == Source::kLog ? 256U << 10 : 4U << 20;
    route_.backlog_bytes = has("backlog_bytes")
                               ? static_cast<std::uint64_t>(settings_.integer(at("backlog_bytes")))
                               : default_backlog;
    if (text("on_gap") == "close") route_.on_gap = OnGap::kClose;
    const std::string on_unavailable = text("on_unavailable");
    if (on_unavailable == "auto") route_.on_unavailable = OnUnavailable::kAuto;
    if (on_unavailable == "sse") route_.on_unavailable = OnUnavailable::kSse;
  }

  Settings& settings_;
  const Config& config_;
  std::string table_;  // "route.<name>"
  Route route_;
  // False: what it says has a fault, and what follows from it is no fault of its own.
  bool source_is_known_ = true;
  bool record_is_known_ = true;
};

}  // namespace

std::string unknown_place(std::string_view text) {
  for (std::size_t open = text.find('{'); open != std::string_view::npos; open = text.find('{', open + 1)) {
    const std::size_t close = text.find('}', open);
    if (close == std::string_view::npos) break;
    const std::string_view place = text.substr(open, close - open + 1);
    if (place != kId) return std::string(place);
  }
  return {};
}

const std::vector<std::string>& names_taken() {
  static const std::vector<std::string> kNames = {"id",         "status",        "now",       "route",
                                                  "request_id", "connection_id", "max_age_s", "last_id"};
  return kNames;
}

void read_routes(Settings& settings, Config& config) {
  const std::vector<std::string> names = settings.names_in("route");
  if (names.empty() && !settings.is_misspelled("route"))
    settings.add_error("route", "there is none: at least one [route.<name>] is needed");
  std::vector<Route> routes;
  for (const std::string& name : names) {
    if (settings.is_fragment("route." + name, {"path", "source", "key", "who"})) continue;
    auto route = RouteReader(settings, config, name).read();
    if (!route) continue;
    for (const Route& other : routes) {
      if (!overlap(other.path, route->path)) continue;
      settings.add_error("route." + name + ".path",
                         "matches the same path as that of [route." + other.name + ']');
    }
    routes.push_back(std::move(*route));
  }
  if (!settings.is_sound()) return;
  Result<RouteTable> table = RouteTable::make(std::move(routes));
  if (table) config.routes = std::move(*table);
}

}  // namespace tailgate
