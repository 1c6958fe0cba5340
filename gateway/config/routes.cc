// Reads [route.*], the rows of the route table.
#include <algorithm>
#include <memory>
#include <utility>

#include "gateway/config/parts.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// Reads one route in three steps: each key by itself, the rules that join keys, and the keys that depend on
// the record.  A step is skipped once the route or its record has a finding, because it would often only
// repeat that finding in other words.
class RouteReader {
 public:
  RouteReader(Settings& settings, const Config& config, const std::string& name)
      : settings_(settings), table_(settings, "route." + name), config_(config) {
    route_.name = name;
  }

  // Returns nothing if the route has no usable path.
  std::optional<Route> read() {
    read_source();
    read_path();
    read_access();
    read_framing();
    read_answers();
    if (route_.source != Source::kPages) read_lifecycle();
    if (is_sound()) check_route(table_, route_);
    if (is_sound()) {
      default_ends_on_values();
      route_.standing = read_status_messages("standing", false);
      route_.ending = read_status_messages("ending", true);
      if (route_.source != Source::kPages) check_endings();
    }
    if (route_.path.text().empty()) return std::nullopt;
    return std::move(route_);
  }

 private:
  bool has_terminal() const { return route_.record != nullptr && !route_.record->terminal.empty(); }

  bool is_sound() const {
    return !table_.has_error() &&
           (route_.record == nullptr || !settings_.has_error_below("record." + route_.record->name));
  }

  // Unlike require(), this also refuses an empty text or list.
  void require_value(std::string_view key) {
    const auto values = table_.texts(key);
    if (values.empty() || values.front().empty()) settings_.add_missing(table_.at(key));
  }

  void read_source() {
    table_.require("source");
    const std::string source = table_.text("source");
    if (source.empty()) return;
    if (source == "log") route_.source = Source::kLog;
    if (source == "pages") route_.source = Source::kPages;
    const unsigned bit = source == "log"     ? Option::kLog
                         : source == "pages" ? Option::kPages
                                             : Option::kChannel;
    for (const std::string& key : settings_.keys_below("route." + route_.name)) {
      if ((find_option(key)->sources & bit) == 0)
        settings_.add_error(key, "has no effect on a route with source = \"" + source + '"');
    }
  }

  void read_path() {
    if (table_.require("path")) {
      auto path = PathPattern::compile(table_.text("path"), table_.boolean("trailing_slash"));
      if (path) {
        route_.path = std::move(*path);
      } else {
        table_.add_error("path", path.error());
      }
    }
    table_.require("key");
    route_.key = table_.text("key");
    if (const std::string unknown = unknown_placeholder(route_.key); !unknown.empty())
      table_.add_error("key", "there is no " + unknown + ": a job's id is written {id}");
  }

  void read_access() {
    table_.require("who");
    if (table_.text("who") == "anyone") route_.who = Who::kAnyone;
    if (table_.text("auth") == "application") route_.auth = AuthBy::kApplication;
    route_.providers = table_.texts("providers");
    for (const std::string& name : route_.providers) {
      if (config_.provider(name) == nullptr)
        table_.add_error("providers", "there is no [provider." + name + ']');
    }
    for (const std::string& text : table_.texts("credentials")) {
      Result<Credential> credential = Credential::parse(text);
      if (credential) {
        route_.credentials.push_back(std::move(*credential));
      } else {
        table_.add_error("credentials", credential.error());
      }
    }
    route_.record_grace = table_.duration("record_grace_ms");
    if (!table_.has("record")) return;
    const std::string name = table_.text("record");
    for (const auto& record : config_.records) {
      if (record->name == name) route_.record = record.get();
    }
    if (route_.record == nullptr) table_.add_error("record", "there is no [record." + name + ']');
  }

  void read_framing() {
    const std::string source = table_.text("source");
    if (source == "channel") {
      table_.require("framing");
      if (table_.text("framing") == "named") route_.framing = Framing::kNamed;
    } else if (!source.empty()) {
      route_.framing = Framing::kEntry;
      require_value("entry");
    }
    if (route_.framing == Framing::kNamed) {
      require_value("name_from");
      require_value("data_from");
    }
    route_.event = table_.text("event");
    route_.id_from = table_.text("id_from");
    route_.only_objects = table_.boolean("only_objects");
    route_.name_from = table_.texts("name_from");
    route_.data_from = table_.text("data_from");
    route_.entry = table_.texts("entry");
    if (contains(route_.entry, "id"))
      table_.add_error("entry", "must not hold \"id\": each line has its entry's id by that name");
    route_.ends_on_field = table_.text("ends_on.field");
    route_.ends_on_values = table_.texts("ends_on.values");
    route_.ends_on_events = table_.texts("ends_on.events");
  }

  void read_answers() {
    Result<Template> body = Template::compile_json(table_.text("error_body"), {"status", "error", "message"});
    if (body) {
      route_.error_body = std::move(*body);
    } else {
      table_.add_error("error_body", body.error());
    }
    route_.not_found = table_.text("not_found");
    route_.page_default = static_cast<int>(table_.integer("page_default"));
    route_.page_max = static_cast<int>(table_.integer("page_max"));
    route_.page_bytes = static_cast<std::uint64_t>(table_.integer("page_bytes"));
    const std::string on_unavailable = table_.text("on_unavailable");
    if (on_unavailable == "sse") route_.on_unavailable = OnUnavailable::kSse;
    if (on_unavailable == "status" || route_.source == Source::kPages)
      route_.on_unavailable = OnUnavailable::kStatus;
    if (table_.text("on_gap") == "close") route_.on_gap = OnGap::kClose;
  }

  void read_lifecycle() {
    route_.heartbeat.every = table_.duration("heartbeat.every_s");
    route_.heartbeat.always = table_.text("heartbeat.when") == "always";
    const bool has_message = table_.has("heartbeat.comment") || table_.has("heartbeat.event") ||
                             table_.has("heartbeat.data") || table_.has("heartbeat.text");
    if (auto message = has_message ? read_message("heartbeat", {})
                                   : *Message::make(Message::Kind::kComment, {}, "heartbeat", {})) {
      route_.heartbeat.message = std::move(*message);
    }
    for (std::size_t i = 0; i < settings_.size_of(table_.at("hello")); ++i) {
      if (auto message = read_message("hello[" + std::to_string(i) + ']', {"request_id", "connection_id"}))
        route_.hello.push_back(std::move(*message));
    }
    route_.retry = table_.duration("retry_ms");
    route_.max_age = table_.duration("max_age_s");
    if (table_.has("age_notice")) {
      route_.age_notice_before = table_.duration("age_notice.before_s");
      route_.age_notice = read_message("age_notice", {});
    }
    // A channel's backlog must hold a burst until nginx takes it, and all viewers of the channel share its
    // bytes.  A log's viewer loses nothing when its backlog is full: the log is read on later.
    const bool is_log = route_.source == Source::kLog;
    route_.send_timeout = std::chrono::seconds(is_log ? 600 : 30);
    route_.backlog_bytes = is_log ? 256U << 10 : 4U << 20;
    if (table_.has("send_timeout_s")) route_.send_timeout = table_.duration("send_timeout_s");
    if (table_.has("backlog_bytes"))
      route_.backlog_bytes = static_cast<std::uint64_t>(table_.integer("backlog_bytes"));
  }

  // Reads the message in the table `key`: a comment, or an event with `data` or `text`.  `names` are the
  // ${names} that it may use besides those of every message.
  std::optional<Message> read_message(const std::string& key, std::vector<std::string> names) {
    const bool has_comment = table_.has(key + ".comment");
    const bool has_data = table_.has(key + ".data");
    const bool has_text = table_.has(key + ".text");
    if (has_comment + has_data + has_text != 1 || (has_comment && table_.has(key + ".event"))) {
      table_.add_error(key, "must be a comment, or an event with either data or text");
      return std::nullopt;
    }
    names.insert(names.end(), {"id", "route", "max_age_s", "now"});
    const std::string content = key + (has_comment ? ".comment" : has_data ? ".data" : ".text");
    const auto kind = has_comment ? Message::Kind::kComment
                      : has_data  ? Message::Kind::kJsonEvent
                                  : Message::Kind::kTextEvent;
    auto message = Message::make(kind, table_.text(key + ".event"), table_.text(content), names);
    if (message) return std::move(*message);
    table_.add_error(content, message.error());
    return std::nullopt;
  }

  void default_ends_on_values() {
    if (route_.ends_on_field.empty() || !route_.ends_on_values.empty()) return;
    if (!has_terminal()) {
      return table_.add_error("ends_on.field",
                              "needs ends_on.values, or a record that has terminal statuses");
    }
    route_.ends_on_values = route_.record->terminal;
  }

  std::vector<StatusMessage> read_status_messages(const std::string& list, bool terminal) {
    if (!table_.has(list)) return {};
    if (route_.record == nullptr || route_.record->status.empty()) {
      table_.add_error(list, "needs a record with status and terminal");
      return {};
    }
    std::vector<std::string> names = {"status"};
    for (const RecordField& field : route_.record->fields) names.push_back(field.name);
    if (terminal && route_.source == Source::kLog) names.emplace_back("last_id");
    std::vector<StatusMessage> messages;
    for (std::size_t i = 0; i < settings_.size_of(table_.at(list)); ++i) {
      const std::string key = list + '[' + std::to_string(i) + ']';
      const auto statuses = table_.texts(key + ".status");
      for (const std::string& status : statuses) {
        if (route_.record->is_terminal(status) == terminal) continue;
        table_.add_error(key + ".status",
                         '"' + status +
                             (terminal ? "\" is not a terminal status"
                                       : "\" is a terminal status: its message is among ending"));
      }
      if (auto message = read_message(key, names))
        messages.push_back({.statuses = statuses, .message = std::move(*message)});
    }
    return messages;
  }

  void check_endings() {
    if (!has_terminal() || !is_sound()) return;
    for (const std::string& status : route_.record->terminal) {
      const bool is_covered =
          std::any_of(route_.ending.begin(), route_.ending.end(), [&status](const StatusMessage& entry) {
            return entry.statuses.empty() || contains(entry.statuses, status);
          });
      if (is_covered) continue;
      table_.add_error("ending", "has no message for the terminal status \"" + status +
                                     "\", so its clients would not learn of the end");
    }
  }

  Settings& settings_;
  Section table_;
  const Config& config_;
  Route route_;
};

}  // namespace

void read_routes(Settings& settings, Config& config) {
  const std::vector<std::string> names = settings.names_in("route");
  if (names.empty() && !settings.has_error_below("route"))
    settings.add_error("route", "there is none: at least one [route.<name>] is needed");
  for (const std::string& name : names) {
    if (settings.is_fragment("route." + name, {"path", "source", "key", "who"})) continue;
    auto route = RouteReader(settings, config, name).read();
    if (!route) continue;
    for (const Route& other : config.routes) {
      if (!overlap(other.path, route->path)) continue;
      settings.add_error("route." + name + ".path",
                         "matches the same path as that of [route." + other.name + ']');
    }
    config.routes.push_back(std::move(*route));
  }
}

}  // namespace tailgate
