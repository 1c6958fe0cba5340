#include "gateway/routes/framing.h"

#include <algorithm>

#include "gateway/sse/sse.h"
#include "gateway/text/json.h"
#include "gateway/text/text.h"

namespace tailgate {

namespace {

// A browser sends its last id in a header when it reconnects.  Proxies refuse headers of several KB, and an
// EventSource gives up after a refusal.
constexpr std::size_t kMaxIdBytes = 1024;

std::string id_from(const Members& members, const std::string& name) {
  const JsonValue* value = members.find(name);
  if (value == nullptr || (!value->is_string() && value->kind != JsonValue::Kind::kNumber)) return {};
  std::string id = value->text();
  // A client that sees the id of an end closes its stream, so no other event may have one.  The id is split
  // at commas, because RequestHandler reads a Last-Event-ID with commas as several ids.
  const bool is_end = std::ranges::any_of(split(id, ','), [](std::string_view part) {
    return trim(part) == kEndId || trim(part).starts_with("end.");
  });
  return id.size() <= kMaxIdBytes && is_sse_name(id) && !is_end ? id : std::string();
}

bool has_last_value(const Members& members, const Route& route) {
  if (route.ends_on_field.empty()) return false;
  const auto value = members.text_of(route.ends_on_field);
  return value && contains(route.ends_on_values, *value);
}

FramingResult append_raw(std::string& out, const Route& route, std::string_view payload, Members& members) {
  std::string id;
  bool last = false;
  if (route.only_objects || !route.id_from.empty() || !route.ends_on_field.empty()) {
    if (!members.read(payload) && route.only_objects) return FramingResult::kSkipped;
    if (!route.id_from.empty()) id = id_from(members, route.id_from);
    last = has_last_value(members, route);
  }
  append_event(out, route.event, payload, last ? kEndId : std::string_view(id));
  return last ? FramingResult::kLastFrame : FramingResult::kFrame;
}

FramingResult append_named(std::string& out, const Route& route, std::string_view payload, Members& members) {
  if (!members.read(payload)) return FramingResult::kSkipped;
  std::string name;
  for (const std::string& member : route.name_from) {
    if (name.empty()) name = members.text_of(member).value_or("");
  }
  if (name.empty() || !is_sse_name(name)) return FramingResult::kSkipped;

  const JsonValue* value = members.find(route.data_from);
  std::string data = value == nullptr ? "{}" : value->text();
  if (!is_utf8(data)) data = to_utf8(data);
  const bool last = contains(route.ends_on_events, name) || has_last_value(members, route);
  append_event(out, name, data, last ? kEndId : std::string_view());
  return last ? FramingResult::kLastFrame : FramingResult::kFrame;
}

}  // namespace

FramingResult append_message(std::string& out, const Route& route, std::string_view payload) {
  static Members members;  // static, so that later payloads reuse its memory
  return route.framing == Framing::kNamed ? append_named(out, route, payload, members)
                                          : append_raw(out, route, payload, members);
}

void append_line(std::string& out, const std::vector<std::string>& fields, const LogEntry& entry) {
  out += "{\"id\":\"";
  out += entry.id.text();
  out += '"';
  for (const std::string& field : fields) {
    const auto found = std::find_if(entry.fields.rbegin(), entry.fields.rend(),
                                    [&](const auto& pair) { return pair.first == field; });
    out += ',';
    append_json_quoted(out, field);
    out += ':';
    if (found == entry.fields.rend()) {
      out += "null";
    } else {
      append_json_quoted(out, found->second);
    }
  }
  out += '}';
}

void append_entry(std::string& out, const Route& route, const LogEntry& entry) {
  begin_event_with_id(out, entry.id.text(), route.event);
  append_line(out, route.entry, entry);
  out += "\n\n";
}

std::optional<EntryId> parse_end_id(std::string_view id) {
  if (id == kEndId) return EntryId{};
  if (!id.starts_with(kEndId) || id.substr(kEndId.size(), 1) != ".") return std::nullopt;
  return EntryId::parse(id.substr(kEndId.size() + 1));
}

}  // namespace tailgate
